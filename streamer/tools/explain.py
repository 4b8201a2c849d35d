"""Explains how the label of a window came about, from the log alone.

The readings are processed again by the code of a worker, and the event that they give is compared
with the published one. With the settings of the workers both have the same bytes.
"""

import asyncio
import difflib
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import numpy as np
from aiokafka import TopicPartition
from msgspec import UNSET

from streamer.arrays import Floats
from streamer.contracts.events import ActivityEvent, ModelVersion, parse_window_id
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.features import FeatureSet
from streamer.features.feature_set import ACCELERATION
from streamer.flow.window_trace import TracedWindow, WindowTrace
from streamer.kafka.positions import read_position
from streamer.kafka.reader import PATIENCE_S
from streamer.kafka.topics import admin_client
from streamer.labels.label_policy import LabelPolicy
from streamer.labels.labelling import Labeller
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.predict.chosen_models import choose_feature_set
from streamer.predict.factory import OpenedPredictor, load_predictor, open_other_predictor
from streamer.predict.feature_effects import FeatureEffects, measure_effects
from streamer.reports.absence import Absence, Verdict, check_grid, explain_absence
from streamer.reports.explanation import Explanation, PublishedRecord, Stage
from streamer.settings import Settings
from streamer.settings.predictor_names import BATCHES, ENDPOINTS, IN_FILES
from streamer.tools.window_search import (
    FoundEvents,
    Traced,
    find_devices,
    find_events,
    find_refusal,
    has_deleted_readings,
    is_same,
    trace_window,
)

ANSWER_S: Final = 30.0
"""How long an endpoint may take to answer."""


@dataclass(frozen=True, slots=True)
class _Recomputed:
    """What the predictor and the labels give for a window; nothing if the predictor is silent."""

    event: ActivityEvent | None = None
    effects: FeatureEffects | None = None
    refusal: str | None = None


async def explain_window(
    settings: Settings, window_id: str, report: ReportProgress = ignore_progress
) -> Explanation:
    """Explain how the label of a window came about, or why there is none.

    Args:
        settings: those of the workers.
        window_id: of the window, as events name it.
        report: is told how far the log has been read.

    Raises:
        DataError: it is no id of a window.
        StreamerError: a setting, a model file, a topic or the endpoint cannot be used.
    """
    device_id, start_ms = parse_window_id(window_id)
    # A model file or a registry is read once: it may change meanwhile.
    local = load_predictor(settings, Metrics()) if settings.predictor in IN_FILES else None
    feature_set = local.feature_set if local else choose_feature_set(settings)
    if verdict := check_grid(device_id, start_ms):
        events = FoundEvents(None, None, b"", None)
        traced = Traced(WindowTrace(settings, feature_set, device_id, start_ms), None, False)
        return _compose(settings, window_id, events, traced, _Recomputed(), verdict)
    events = await find_events(settings, device_id, start_ms)
    traced = await trace_window(settings, feature_set, device_id, start_ms, events, report)
    window = traced.trace.found
    recomputed = _Recomputed()
    if window is not None:
        recomputed = await _recompute(settings, local, feature_set, window, events.before)
    verdict = None
    if events.published is None:
        verdict = await _find_absence(settings, traced, recomputed)
    return _compose(settings, window_id, events, traced, recomputed, verdict)


async def _recompute(
    settings: Settings,
    local: OpenedPredictor | None,
    feature_set: FeatureSet,
    window: TracedWindow,
    before: ActivityEvent | None,
) -> _Recomputed:
    """Ask the predictor about a window and label it, as a worker does after the window before.

    Args:
        settings: those of the workers.
        local: the predictor, if it is one of `IN_FILES`.
        feature_set: of the window.
        window: whose event is wanted.
        before: the event of the window before.
    """
    if settings.predictor == BATCHES:
        return _Recomputed()
    labeller = Labeller(LabelPolicy.of(settings))
    labeller.restore({} if before is None else {before.device_id: before})
    async with AsyncExitStack() as stack:
        opened = local
        if opened is None:
            other = open_other_predictor(settings, Metrics(), lambda _reason: None)
            opened = await stack.enter_async_context(other)
        try:
            async with asyncio.timeout(ANSWER_S):
                answers = await opened.ask(window.features[None])
        except TimeoutError:
            return _Recomputed()
        if answers.refused:
            return _Recomputed(refusal=answers.refused[0])
        [event] = labeller.label([window.window], answers)
        # An endpoint is asked about the window itself, and not 600 times more for its features.
        if settings.predictor in ENDPOINTS:
            return _Recomputed(event)
        return _Recomputed(event, await _measure(opened, feature_set, window.features))


async def _measure(
    opened: OpenedPredictor, feature_set: FeatureSet, features: Floats
) -> FeatureEffects | None:
    """Measure the effects of features against the medians in the training data of the model.

    A predictor that is not `local` is compared with the training data of the model `waist`.
    """
    usual = np.array(opened.model.deciles[:, artifact.DECILES // 2])
    without_gyroscope = opened.without_gyroscope
    if without_gyroscope is not None and np.isnan(features).any():
        usual[list(ACCELERATION)] = without_gyroscope.deciles[:, artifact.DECILES // 2]
    return await measure_effects(opened.ask, feature_set, features, usual)


async def _find_absence(settings: Settings, traced: Traced, recomputed: _Recomputed) -> Verdict:
    """Return why there is no event of a window."""
    trace, window = traced.trace, traced.trace.found
    if traced.partition is None:
        close = difflib.get_close_matches(trace.device_id, await find_devices(settings), n=1)
        meant = f"; is {close[0]} meant?" if close else ""
        where = f"in {settings.readings_topic} at {settings.bootstrap_servers}"
        deleted = ""
        if await has_deleted_readings(settings):
            deleted = "; older records have been deleted, and its own may have been among them"
        return Verdict(
            Absence.UNKNOWN_DEVICE,
            f"there are no readings of {trace.device_id!r} {where}{deleted}{meant}",
        )
    if verdict := explain_absence(trace, log_is_cut=traced.log_is_cut):
        return verdict
    assert window is not None
    refusal = await find_refusal(settings, trace.device_id, trace.start_ms)
    if refusal is not None:
        return Verdict(
            Absence.REFUSED,
            f"the endpoint has refused it ({refusal}); `streamer dlq predict` asks again",
        )
    topic = TopicPartition(settings.readings_topic, traced.partition)
    async with admin_client(settings, PATIENCE_S) as admin:
        position = await read_position(admin, settings.group_id, topic)
    name = f"{topic.topic}[{topic.partition}]"
    if position is None or position.next <= window.closed_by:
        at = "has no position" if position is None else f"is at the offset {position.next}"
        return Verdict(
            Absence.NOT_PROCESSED,
            f"the window closes with the record {window.closed_by} of {name}, and the group "
            f"{settings.group_id} {at} there: see whether its workers run and how far behind they "
            "are",
        )
    refused = f"; the predictor refuses it now: {recomputed.refusal}" if recomputed.refusal else ""
    return Verdict(
        Absence.NOT_PUBLISHED,
        f"the readings give a window, and {settings.events_topic} has no event of it: retention "
        f"has deleted the event, or the workers had other settings{refused}",
    )


def _compose(
    settings: Settings,
    window_id: str,
    events: FoundEvents,
    traced: Traced,
    recomputed: _Recomputed,
    verdict: Verdict | None,
) -> Explanation:
    trace, published = traced.trace, events.published
    identical, words = None, verdict.words if verdict else ""
    if published is not None:
        identical, words = _compare(settings, events, recomputed, traced)
    window = trace.found
    follows = window is not None and window.window.follows
    return Explanation(
        window_id=window_id,
        device_id=trace.device_id,
        start_ms=trace.start_ms,
        partition=traced.partition,
        published=published,
        recomputed=recomputed.event,
        identical=identical,
        absence=verdict.absence if verdict else None,
        words=words,
        window=window,
        records=trace.records,
        times_us=trace.times_us,
        values=trace.values,
        range=trace.range,
        read_from=None if traced.partition is None else trace.start_offset,
        before=events.before if follows else None,
        effects=recomputed.effects,
        policy=LabelPolicy.of(settings),
        stages=_order_stages(traced, published),
        rejected=trace.rejected,
    )


def _compare(
    settings: Settings, events: FoundEvents, recomputed: _Recomputed, traced: Traced
) -> tuple[bool | None, str]:
    """Return whether both events are the same, and in words how they differ."""
    assert events.published is not None
    published, again, trace = events.published.event, recomputed.event, traced.trace
    if trace.found is None:
        verdict = explain_absence(trace, log_is_cut=traced.log_is_cut)
        because = "" if verdict is None else f": {verdict.words}"
        return None, f"the readings that are left do not give this window{because}"
    if again is None:
        if settings.predictor == BATCHES:
            return None, (
                "amazon-ml-batch predicts in jobs and is not asked again, so the event is not "
                "compared; the scores are those of the event"
            )
        because = recomputed.refusal or f"it does not answer within {ANSWER_S:g} s"
        return None, f"the predictor gives no scores now: {because}"
    if is_same(events.value, published, again):
        return True, ""
    if published.model != again.model:
        return False, (
            f"the event is of the model {_name(published.model)}, and these settings name "
            f"{_name(again.model)}: give the model with --model to recompute the event"
        )
    fields = [
        name
        for name in published.__struct_fields__
        if getattr(published, name, UNSET) != getattr(again, name, UNSET)
    ]
    hint = "give the settings of the workers"
    if trace.found.window.follows and events.before is None:
        hint = "the event of the window before is gone, and with it the belief"
    elif not trace.is_conclusive:
        hint = "older readings, on which the window depends, may have been deleted"
    return False, f"the events differ in {', '.join(fields) or 'their encoding'}: {hint}"


def _name(model: ModelVersion | None) -> str:
    return "none" if model is None else f"{model.id} {model.version}"


def _order_stages(traced: Traced, published: PublishedRecord | None) -> list[Stage]:
    """Return the moments on the way of the window, from its first sample to its event."""
    trace = traced.trace
    moments: list[tuple[str, float, str]] = []
    if trace.records:
        newest_us = max(record.last_us for record in trace.records)
        moments += [
            ("first sample", min(record.first_us for record in trace.records) / 1000, "device"),
            ("last sample", newest_us / 1000, "device"),
            ("last record with a sample", max(r.stamped_ms for r in trace.records), "Kafka"),
        ]
    if trace.found is not None:
        moments.append(("record that closed the window", trace.found.closed_ms, "Kafka"))
    if published is not None:
        moments.append(("event written, in a transaction", published.stamped_ms, "worker"))
    stages: list[Stage] = []
    for name, time_ms, clock in moments:
        waited_ms = time_ms - stages[-1].time_ms if stages else None
        stages.append(Stage(name, time_ms, clock, waited_ms))
    return stages
