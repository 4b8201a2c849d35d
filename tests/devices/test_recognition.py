import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from streamer.devices.motions import MOTIONS
from streamer.devices.people import RATE_HZ, Person
from streamer.features import UCI_HAR, extract, scale
from streamer.features.filters import condition
from streamer.model import artifact
from streamer.predict.local import LocalPredictor

LENGTH, HOP = UCI_HAR.length, UCI_HAR.hop


async def test_the_shipped_model_recognizes_what_synthetic_people_do() -> None:
    predictor = LocalPredictor(artifact.load())
    activities = list(MOTIONS)
    right: dict[str, list[bool]] = {activity: [] for activity in activities}
    for seed in range(20):
        samples, truth = Person(seed).take(5 * 60 * RATE_HZ)
        signals = condition(np.ascontiguousarray(samples.T), start="rest")
        starts = [
            start
            for start in range(0, len(truth) - LENGTH - 1, HOP)
            if 1 <= truth[start] <= 6 and np.ptp(truth[start : start + LENGTH]) == 0
        ]
        windows = sliding_window_view(signals, LENGTH + 1, axis=1).swapaxes(0, 1)[starts]
        prediction = await predictor.predict(scale(extract(windows)))
        for start, scores in zip(starts, prediction.scores, strict=True):
            activity = activities[truth[start] - 1]
            right[activity].append(prediction.model.activities[scores.argmax()] == activity)

    shares = {activity: np.mean(cases) for activity, cases in right.items()}
    assert np.concatenate(list(right.values())).mean() >= 0.9
    assert min(shares.values()) >= 0.75, shares
