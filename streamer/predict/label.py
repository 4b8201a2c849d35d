"""From windows and their scores to the events that are published."""

import numpy as np

from streamer.contracts.events import (
    Activity,
    ActivityEvent,
    FeatureSet,
    ModelVersion,
    Source,
    window_id,
)
from streamer.features import UCI_HAR
from streamer.predict.protocol import Prediction
from streamer.stream.partition import ClosedWindows

_FEATURE_SET = FeatureSet(UCI_HAR.name, UCI_HAR.version)
_LENGTH_MS = UCI_HAR.length_us // 1000


def label(windows: ClosedWindows, prediction: Prediction, predictor: str) -> list[ActivityEvent]:
    """Say what each device did in each window, in the order of the windows."""
    card = prediction.model
    model = ModelVersion(card.id, card.version)
    activities = [Activity(name) for name in card.activities]
    best = np.argmax(prediction.scores, axis=1)
    starts_ms = windows.start_us // 1000
    return [
        ActivityEvent(
            window_id=window_id(device_id, start_ms),
            device_id=device_id,
            window_start=start_ms,
            window_end=start_ms + _LENGTH_MS,
            activity=activities[winner],
            label=card.labels[winner],
            confidence=scores[winner],
            scores=dict(zip(card.labels, scores, strict=True)),
            model=model,
            predictor=predictor,
            source=Source.ENDPOINT,
            coverage=coverage,
            feature_set=_FEATURE_SET,
            settled=settled,
        )
        for device_id, start_ms, winner, scores, coverage, settled in zip(
            windows.device_ids,
            starts_ms.tolist(),
            best.tolist(),
            prediction.scores.tolist(),
            windows.coverage.tolist(),
            windows.settled.tolist(),
            strict=True,
        )
    ]
