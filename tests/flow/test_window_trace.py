"""A window that is traced through the log is the window that a worker computes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from streamer.contracts.events import ActivityEvent, encode_event
from streamer.contracts.readings import Record
from streamer.contracts.records import OneRecord, Records
from streamer.features import GRAVITY_FRAME
from streamer.features.window_shape import WINDOW
from streamer.flow.window_trace import WindowTrace
from streamer.labels.label_policy import LabelPolicy
from streamer.labels.labelling import Labeller
from streamer.model import artifact
from streamer.predict.answers import make_ask
from streamer.predict.feature_effects import measure_effects
from streamer.predict.local_predictor import LocalPredictor
from streamer.reports.absence import Absence, check_grid, explain_absence
from streamer.settings import Settings
from streamer.testing import START_MS, readings, run_script

MODEL = artifact.load()
ASK = make_ask(LocalPredictor(MODEL))
HOP_MS = WINDOW.hop_us // 1000


@dataclass
class Log:
    """The records of a partition, and the events that a worker publishes."""

    records: Sequence[Record]
    events: list[ActivityEvent]


def walk(seconds: float, seed: int = 0) -> np.ndarray:
    t = np.arange(round(50 * seconds)) / 50
    swing = 0.4 * np.sin(2 * np.pi * 2 * t)
    noise = np.random.default_rng(seed).normal(0, 0.02, (len(t), 6))
    still = np.zeros_like(t)
    return noise + np.stack([swing, still - 0.98, still + 0.12, swing, still, still], axis=1)


def numbered(*parts: Sequence[Record]) -> list[Record]:
    """Put the records of several devices into one partition, by Kafka's time."""
    records = sorted((each for part in parts for each in part), key=lambda each: each.timestamp)
    return [
        OneRecord(each.key, each.value, each.headers, each.timestamp, i)
        for i, each in enumerate(records)
    ]


async def publish(*parts: Sequence[Record]) -> Log:
    records = numbered(*parts)
    return Log(records, (await run_script(records)).events)


def trace(log: Log, start_ms: int, first: int = 0, batch: int = 37) -> WindowTrace:
    """Trace a window of the device `a` through records from one on, in fetches of any size."""
    found = WindowTrace(Settings(), GRAVITY_FRAME, "a", start_ms, first)
    for begin in range(first, len(log.records), batch):
        if found.is_settled:
            break
        found.add(Records.of(log.records[begin : begin + batch]))
    return found


async def relabel(found: WindowTrace, before: ActivityEvent | None) -> ActivityEvent:
    assert found.found is not None
    labeller = Labeller(LabelPolicy.of(found.settings))
    labeller.restore({} if before is None else {before.device_id: before})
    [event] = labeller.label([found.found.window], await ASK(found.found.features[None]))
    return event


async def test_a_trace_from_two_minutes_before_gives_the_bytes_of_the_published_event() -> None:
    """Also with other devices in the partition, and whatever the size of the fetches is."""
    #  a   |------------------------ 150 s -------------------------|
    #  b           |----------- 100 s -----------|
    #                trace: |------ 118 s ------[window]
    log = await publish(
        readings("a", walk(150)), readings("b", walk(100, 1), START_MS + 20_123, batch=10)
    )
    own = [event for event in log.events if event.device_id == "a"]
    for before, event in (own[-3:-1], own[-2:]):
        first = next(r.offset for r in log.records if r.timestamp > event.window_start - 118_000)
        for batch in (7, 10_000):
            found = trace(log, event.window_start, first, batch)
            assert found.is_conclusive
            assert encode_event(await relabel(found, before)) == encode_event(event)
    assert found.found is not None
    # The samples are those that the window has.
    assert len(found.times_us) == WINDOW.length
    closing = log.records[found.found.closed_by]
    assert closing.key == b"a"
    assert closing.timestamp >= event.window_end


async def test_the_effects_of_features_say_what_speaks_for_the_label() -> None:
    log = await publish(readings("a", walk(30)))
    found = trace(log, log.events[-1].window_start)
    assert found.found is not None
    usual = np.array(MODEL.deciles[:, 4])
    effects = await measure_effects(ASK, GRAVITY_FRAME, found.found.features, usual)
    assert effects is not None
    assert effects.chosen == log.events[-1].label
    assert len(effects.features) == len(GRAVITY_FRAME.names)
    # A feature without its median changes the log-odds by what its effect says.
    largest = effects.features[0]
    features = found.found.features.copy()
    features[GRAVITY_FRAME.names.index(largest.name)] = largest.usual
    [scored] = (await ASK(features[None])).scored
    scores = dict(zip(scored.prediction.model.labels, scored.prediction.scores[0], strict=True))
    odds = np.log(scores[effects.chosen] / scores[effects.rival])
    assert odds == pytest.approx(effects.log_odds - largest.effect)


async def why(log: Log, start_ms: int, *, log_is_cut: bool = False) -> Absence | None:
    verdict = explain_absence(trace(log, start_ms), log_is_cut=log_is_cut)
    return None if verdict is None else verdict.absence


async def test_a_window_that_is_not_there_is_explained() -> None:
    #  a   |--- 20 s ---|      10 s without      |--- 20 s ---|
    samples = walk(50)
    log = await publish(
        readings("a", samples[:1000]), readings("a", samples[1500:], START_MS + 30_000)
    )
    starts = [event.window_start for event in log.events]
    grid = range(starts[0], starts[-1] + 1, HOP_MS)
    missing = [start for start in grid if start not in starts]

    assert await why(log, starts[3]) is None
    inside = [start for start in missing if START_MS + 20_000 < start < START_MS + 27_000]
    assert [await why(log, start) for start in inside] == [Absence.NO_READINGS] * len(inside)
    # The windows that were open when the device paused.
    paused = [start for start in missing if start < START_MS + 19_900]
    assert paused
    assert {await why(log, start) for start in paused} == {Absence.SKIPPED}
    assert await why(log, starts[-1] + 4 * HOP_MS) is Absence.STILL_OPEN
    early = starts[0] - 4 * HOP_MS
    assert await why(log, early) is Absence.BEFORE_DEVICE
    assert await why(log, early, log_is_cut=True) is Absence.BEFORE_RETENTION
    verdict = check_grid("a", starts[0] + 1)
    assert verdict is not None
    assert f"a/{starts[0]}" in verdict.words
    assert check_grid("a", starts[0]) is None


async def test_late_and_sparse_and_implausible_and_rejected_readings_are_named() -> None:
    #  a   |--- 6 s ---|(3 s come at the end)|--- 15 s ---|
    samples = walk(24)
    parts: list[Sequence[Record]] = [
        readings("a", samples[:300]),
        readings("a", samples[450:], START_MS + 9_000),
        [
            OneRecord(each.key, each.value, each.headers, START_MS + 25_000, 0)
            for each in readings("a", samples[300:450], START_MS + 6_000)
        ],
    ]
    log = await publish(*parts)
    starts = [event.window_start for event in log.events]
    phase = starts[0] % HOP_MS
    late = next(
        start for start in range(START_MS + 6_000, START_MS + 9_000) if start % HOP_MS == phase
    )
    assert await why(log, late) is Absence.LATE

    # Two of three records of 80 ms are missing.
    sparse = [each for i, each in enumerate(readings("a", walk(20), batch=4)) if i % 3 == 0]
    log = await publish(sparse)
    assert not log.events
    start = next(s for s in range(START_MS + 8_000, START_MS + 12_000) if s % HOP_MS == phase)
    verdict = explain_absence(trace(log, start), log_is_cut=False)
    assert verdict is not None
    assert verdict.absence is Absence.SKIPPED
    assert "coverage" in verdict.words or "sampling_rate" in verdict.words

    # Acceleration in m/s2 instead of g.
    log = await publish(readings("a", walk(20) * 9.81))
    assert not log.events
    verdict = explain_absence(trace(log, start), log_is_cut=False)
    assert verdict is not None
    assert verdict.absence is Absence.SKIPPED
    assert verdict.words.startswith("implausible: ")

    broken = [OneRecord(b"a", b"{", [], START_MS, 0)]
    verdict = explain_absence(trace(Log(broken, []), start), log_is_cut=False)
    assert verdict is not None
    assert verdict.absence is Absence.REJECTED
