"""Makes the events of windows from their scores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from msgspec import UNSET

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
from streamer.contracts.segments import PublishedEvent
from streamer.features.window_shape import WINDOW
from streamer.labels.beliefs import Beliefs
from streamer.labels.decision import Decision, decide
from streamer.labels.familiarity import Familiarities, Value, is_unfamiliar
from streamer.labels.label_policy import LabelPolicy
from streamer.labels.smoothing import DECIMALS
from streamer.model.identity import PUBLISHED
from streamer.predict.answers import Answers, Origin, Scored
from streamer.stream.windows import Window

_LENGTH_MS = WINDOW.length_us // 1000

_SOURCES = {
    Origin.LOCAL: PredictionSource.ENDPOINT,
    Origin.ENDPOINT: PredictionSource.ENDPOINT,
    Origin.FALLBACK: PredictionSource.FALLBACK,
}
"""The contract of events calls the configured predictor `endpoint`, wherever it runs."""

NO_PREDICTOR = "none"
"""The predictor of an event without a prediction."""


class _Verdict(NamedTuple):
    """The activity to publish for a window, with its reason."""

    activity: str
    reason: Reason | None
    reliability: Reliability | None
    confidence: float


def find_last_events(
    events: Iterable[PublishedEvent], start_ms: Mapping[str, int]
) -> dict[str, PublishedEvent]:
    """Return the events of certain windows, by device; the last of repeated events counts."""
    return {
        published.event.device_id: published
        for published in events
        if start_ms.get(published.event.device_id) == published.event.window_start
    }


class Labeller:
    """Labels the windows of one partition in order: a label depends on the previous window."""

    def __init__(self, policy: LabelPolicy) -> None:
        self._policy = policy
        self._beliefs = Beliefs()
        self._familiarities = Familiarities()

    @property
    def unfamiliar(self) -> AbstractSet[str]:
        """Return the devices that are unfamiliar after their last window."""
        return self._familiarities.unfamiliar

    def restore(self, last: Mapping[str, ActivityEvent]) -> None:
        """Continue from the last published event of each device."""
        self._beliefs.restore(last)
        self._familiarities.restore(last)

    def forget(self, device_ids: Iterable[str]) -> None:
        """Drop devices that the partition has forgotten."""
        self._beliefs.forget(device_ids)
        self._familiarities.forget(device_ids)

    def label(self, windows: Sequence[Window], answers: Answers) -> list[ActivityEvent]:
        """Return the events of windows in order; windows that the endpoint refused have none."""
        answered = [_rounded(scored) for scored in answers.scored]
        beliefs: Sequence[Floats | None] = [None] * len(answered)
        if self._policy.needs_beliefs:
            beliefs = self._beliefs.update(windows, answered)
        familiarities: Sequence[list[Value]] = [[UNSET] * len(each.rows) for each in answered]
        if self._policy.familiarity:
            familiarities = self._familiarities.update(windows, answered)
        events = {row: _unavailable(windows[row]) for row in answers.unavailable}
        for scored, belief, familiarity in zip(answered, beliefs, familiarities, strict=True):
            rows = scored.rows.tolist()
            own = self._events([windows[row] for row in rows], scored, belief, familiarity)
            events.update(zip(rows, own, strict=True))
        return [events[row] for row in sorted(events)]

    def _events(
        self,
        windows: list[Window],
        scored: Scored,
        beliefs: Floats | None,
        familiarities: list[Value],
    ) -> Iterator[ActivityEvent]:
        """Make the events of windows that one model has scored."""
        card, scores = scored.prediction.model, scored.prediction.scores
        model = ModelVersion(card.id, card.version)
        raw = decide(scores, card.activities)
        smoothed = raw if beliefs is None else decide(beliefs, card.activities)
        source = _SOURCES[scored.origin]
        nothing: list[list[float]] = [[]] * len(windows)
        for window, verdict, activity_raw, best, row, belief, familiarity in zip(
            windows,
            self._verdicts(raw, smoothed, familiarities),
            [decision.likeliest for decision in raw],
            np.argmax(scores, axis=1).tolist(),
            scores.tolist(),
            nothing if beliefs is None else beliefs.tolist(),
            familiarities,
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
                source=source,
                coverage=round(window.coverage, DECIMALS),
                feature_set=card.feature_set,
                settled=window.settled,
                familiarity=familiarity,
            )

    def _verdicts(
        self, raw: list[Decision], smoothed: list[Decision], familiarities: list[Value]
    ) -> Iterator[_Verdict]:
        judged = smoothed if self._policy.smoothing else raw
        for first, second, familiarity in zip(judged, smoothed, familiarities, strict=True):
            verdict = self._verdict(first, second)
            yield self._distrust(verdict) if is_unfamiliar(familiarity) else verdict

    def _distrust(self, verdict: _Verdict) -> _Verdict:
        """Return the verdict for a window of an unfamiliar device."""
        activity, reason = verdict.activity, verdict.reason
        if not self._policy.label_unfamiliar:
            activity, reason = UNKNOWN, Reason.UNFAMILIAR
        return _Verdict(activity, reason, Reliability.UNFAMILIAR, verdict.confidence)

    def _verdict(self, judged: Decision, smoothed: Decision) -> _Verdict:
        if judged.moving or judged.confidence >= self._policy.min_confidence:
            return _publish(judged, Reliability.MODEL)
        if self._policy.context:
            return _publish(smoothed, Reliability.CONTEXT)
        return _Verdict(UNKNOWN, Reason.CONFIDENCE, None, judged.confidence)


def _publish(decision: Decision, reliability: Reliability) -> _Verdict:
    if decision.moving:
        return _Verdict(UNKNOWN, Reason.TRANSITION, None, decision.confidence)
    return _Verdict(decision.activity, None, reliability, decision.confidence)


def _rounded(scored: Scored) -> Scored:
    """Round the scores as events do, so that a consumer can reproduce what follows from them."""
    prediction = scored.prediction
    scores = np.round(prediction.scores, DECIMALS)
    return replace(scored, prediction=replace(prediction, scores=scores))


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
        predictor=NO_PREDICTOR,
        source=PredictionSource.NONE,
        coverage=round(window.coverage, DECIMALS),
        feature_set=PUBLISHED,
        settled=window.settled,
    )
