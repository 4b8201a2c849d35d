"""From windows and their scores to the events that are published."""

from collections.abc import Iterator

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
from streamer.predict.answers import Answers, Scored
from streamer.stream.partition import ClosedWindows

_FEATURE_SET = FeatureSet(UCI_HAR.name, UCI_HAR.version)
_LENGTH_MS = UCI_HAR.length_us // 1000

NOBODY = "none"
"""The predictor of an event for which no model could be asked."""


def labelled(windows: ClosedWindows, answers: Answers) -> list[ActivityEvent]:
    """The events of windows, in their order; none of those that the endpoint has refused."""
    if answers.everything is not None:
        return _scored(windows, answers.everything)
    events: dict[int, ActivityEvent] = {}
    for scored in answers.scored:
        rows = scored.rows.tolist()
        events.update(zip(rows, _scored(windows.rows(scored.rows), scored), strict=True))
    nobody = np.array(answers.unavailable, np.int64)
    events.update(zip(answers.unavailable, _unavailable(windows.rows(nobody)), strict=True))
    return [events[row] for row in sorted(events)]


def _unavailable(windows: ClosedWindows) -> list[ActivityEvent]:
    """Say of each window that no model could be asked."""
    return [
        ActivityEvent(
            window_id=window_id(device_id, start_ms),
            device_id=device_id,
            window_start=start_ms,
            window_end=start_ms + _LENGTH_MS,
            activity=Activity.UNKNOWN,
            label=None,
            confidence=None,
            scores={},
            model=None,
            predictor=NOBODY,
            source=Source.NONE,
            coverage=coverage,
            feature_set=_FEATURE_SET,
            settled=settled,
        )
        for device_id, start_ms, coverage, settled in _facts(windows)
    ]


def _scored(windows: ClosedWindows, scored: Scored) -> list[ActivityEvent]:
    """Say what each device did in each window."""
    prediction = scored.prediction
    card = prediction.model
    model = ModelVersion(card.id, card.version)
    activities = [Activity(name) for name in card.activities]
    best = np.argmax(prediction.scores, axis=1)
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
            predictor=scored.predictor,
            source=scored.source,
            coverage=coverage,
            feature_set=_FEATURE_SET,
            settled=settled,
        )
        for (device_id, start_ms, coverage, settled), winner, scores in zip(
            _facts(windows), best.tolist(), prediction.scores.tolist(), strict=True
        )
    ]


def _facts(windows: ClosedWindows) -> Iterator[tuple[str, int, float, bool]]:
    """Of each window: whose it is, where it starts, how complete and how settled it is."""
    return zip(
        windows.device_ids,
        (windows.start_us // 1000).tolist(),
        windows.coverage.tolist(),
        windows.settled.tolist(),
        strict=True,
    )
