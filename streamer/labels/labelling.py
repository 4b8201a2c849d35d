"""Makes the events of windows from their scores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from streamer.arrays import Floats
from streamer.contracts.activities import UNKNOWN
from streamer.contracts.events import (
    ActivityEvent,
    ModelVersion,
    PredictionSource,
    Reason,
    Reliability,
    window_id,
)
from streamer.features import UCI_HAR
from streamer.labels.beliefs import Beliefs, LastBelief
from streamer.labels.decision import Decision, decide
from streamer.labels.label_policy import LabelPolicy
from streamer.labels.smoothing import DECIMALS
from streamer.model.identity import PUBLISHED
from streamer.predict.answers import Answers, Origin, Scored
from streamer.predict.predictor import Prediction
from streamer.stream.windows import Window

_LENGTH_MS = UCI_HAR.length_us // 1000

_SOURCES = {
    Origin.LOCAL: PredictionSource.ENDPOINT,
    Origin.ENDPOINT: PredictionSource.ENDPOINT,
    Origin.FALLBACK: PredictionSource.FALLBACK,
}
"""The contract of events calls the configured predictor `endpoint`, wherever it runs."""

NOBODY = "none"
"""The predictor of an event without a prediction."""


class _Verdict(NamedTuple):
    """The activity to publish for a window, with its reason."""

    activity: str
    reason: Reason | None
    reliability: Reliability | None
    confidence: float


class Labeller:
    """Labels the windows of one partition in order: a label depends on the previous window."""

    def __init__(self, policy: LabelPolicy) -> None:
        self._policy = policy
        self._beliefs = Beliefs()

    def restore(self, last: Mapping[str, LastBelief]) -> None:
        """Continue from the last published belief about each device."""
        self._beliefs.restore(last)

    def forget(self, device_ids: Iterable[str]) -> None:
        """Drop devices that the partition has forgotten."""
        self._beliefs.forget(device_ids)

    def label(self, windows: Sequence[Window], answers: Answers) -> list[ActivityEvent]:
        """Return the events of windows in order; windows that the endpoint refused have none."""
        answered = [_rounded(scored) for scored in answers.scored]
        beliefs: Sequence[Floats | None] = [None] * len(answered)
        if self._policy.needs_memory:
            beliefs = self._beliefs.update(windows, answered)
        events = {row: _unavailable(windows[row]) for row in answers.unavailable}
        for scored, belief in zip(answered, beliefs, strict=True):
            rows = scored.rows.tolist()
            events.update(
                zip(rows, self._events([windows[r] for r in rows], scored, belief), strict=True)
            )
        return [events[row] for row in sorted(events)]

    def _events(
        self, windows: list[Window], scored: Scored, beliefs: Floats | None
    ) -> Iterator[ActivityEvent]:
        """Make the events of windows that one model has scored."""
        card, scores = scored.prediction.model, scored.prediction.scores
        model = ModelVersion(card.id, card.version)
        raw = decide(scores, card.activities)
        smoothed = raw if beliefs is None else decide(beliefs, card.activities)
        nothing: list[list[float]] = [[]] * len(windows)
        for window, verdict, activity_raw, best, row, belief in zip(
            windows,
            self._verdicts(raw, smoothed),
            [decision.likeliest for decision in raw],
            np.argmax(scores, axis=1).tolist(),
            scores.tolist(),
            nothing if beliefs is None else beliefs.tolist(),
            strict=True,
        ):
            yield ActivityEvent(
                window_id=window_id(window.device_id, window.start_ms),
                device_id=window.device_id,
                window_start=window.start_ms,
                window_end=window.start_ms + _LENGTH_MS,
                activity=verdict.activity,
                reason=verdict.reason,
                reliability=verdict.reliability,
                confidence=verdict.confidence,
                activity_raw=activity_raw,
                label=card.labels[best],
                scores=dict(zip(card.labels, row, strict=True)),
                posterior=dict(zip(card.labels, belief, strict=True)) if belief else {},
                model=model,
                predictor=scored.predictor,
                source=_SOURCES[scored.origin],
                coverage=round(window.coverage, DECIMALS),
                feature_set=card.feature_set,
                settled=window.settled,
            )

    def _verdicts(self, raw: list[Decision], smoothed: list[Decision]) -> Iterator[_Verdict]:
        judged = smoothed if self._policy.smoothing else raw
        for first, second in zip(judged, smoothed, strict=True):
            if first.moving or first.confidence >= self._policy.min_confidence:
                yield _verdict(first, Reliability.MODEL)
            elif self._policy.context:
                yield _verdict(second, Reliability.CONTEXT)
            else:
                yield _Verdict(UNKNOWN, Reason.CONFIDENCE, None, first.confidence)


def _verdict(decision: Decision, reliability: Reliability) -> _Verdict:
    if decision.moving:
        return _Verdict(UNKNOWN, Reason.TRANSITION, None, decision.confidence)
    return _Verdict(decision.activity, None, reliability, decision.confidence)


def _rounded(scored: Scored) -> Scored:
    """Round the scores as events do, so that a consumer can reproduce what follows from them."""
    prediction = scored.prediction
    scores = np.round(prediction.scores, DECIMALS)
    return replace(scored, prediction=Prediction(scores, prediction.model))


def _unavailable(window: Window) -> ActivityEvent:
    """Make the event of a window without a prediction: only an endpoint leaves one without."""
    return ActivityEvent(
        window_id=window_id(window.device_id, window.start_ms),
        device_id=window.device_id,
        window_start=window.start_ms,
        window_end=window.start_ms + _LENGTH_MS,
        activity=UNKNOWN,
        reason=Reason.UNAVAILABLE,
        reliability=None,
        confidence=None,
        activity_raw=None,
        label=None,
        scores={},
        posterior={},
        model=None,
        predictor=NOBODY,
        source=PredictionSource.NONE,
        coverage=round(window.coverage, DECIMALS),
        feature_set=PUBLISHED,
        settled=window.settled,
    )
