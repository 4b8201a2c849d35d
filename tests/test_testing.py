"""The pipeline in memory: `streamer.testing`, and what it proves of `streamer.flow.pipeline`."""

import asyncio
import contextlib
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.contracts.events import encode_event
from streamer.contracts.readings import Record
from streamer.contracts.records import OneRecord
from streamer.model import artifact
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.predictor import Prediction
from streamer.publishing.people import Person
from streamer.testing import CRASH, PAUSE, START_MS, Published, readings, run_script
from tests.support.scripts import draw_marked
from tests.support.segments import by_device, expected

DOCS = Path(__file__).parents[1] / "docs" / "testing.md"


def person(seed: int, seconds: int = 20) -> Floats:
    return Person(seed).take(50 * seconds)[0]


SCRIPT: list[Record] = [
    record
    for records in zip(
        *(readings(f"person-{i}", person(i), START_MS + 7 * i, batch=10) for i in range(3)),
        strict=True,
    )
    for record in records
]


def contents(published: Published) -> list[bytes]:
    return sorted(encode_event(event) for event in published.events)


WHOLE = asyncio.run(run_script(SCRIPT))


def test_the_examples_of_the_documentation_work() -> None:
    code = "\n".join(
        re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    )
    names: dict[str, object] = {}
    exec(code, names)
    examples = [value for name, value in names.items() if name.startswith("test_")]
    assert len(examples) == 2
    for example in examples:
        assert callable(example)
        example()


@settings(max_examples=15, deadline=None)
@given(st.data())
async def test_marks_and_batches_anywhere_change_nothing(data: st.DataObject) -> None:
    script = draw_marked(data, SCRIPT)
    batch = data.draw(st.sampled_from([1, 7, 50, 10_000]))
    published = await run_script(script, batch=batch)
    assert contents(published) == contents(WHOLE)
    assert by_device(published) == by_device(WHOLE)
    assert published.position == WHOLE.position


def test_segments_equal_those_computed_from_the_events() -> None:
    assert by_device(WHOLE) == expected(WHOLE.events)
    assert len(WHOLE.segments) > 3


async def test_output_lost_in_a_crash_is_published_once_by_the_next_worker() -> None:
    published = await run_script([*SCRIPT[:90], PAUSE, *SCRIPT[90:200], CRASH, *SCRIPT[200:]])
    assert contents(published) == contents(WHOLE)
    assert len(contents(WHOLE)) > 30


class Shuffled(LocalPredictor):
    """An endpoint whose answers overtake each other: every other one waits for the next."""

    def __init__(self) -> None:
        super().__init__(artifact.load())
        self.calls = 0
        self.overtaken = 0
        self._answered: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)

    async def predict(self, features: Floats) -> Prediction:
        call = self.calls
        self.calls += 1
        if call % 2 == 0:
            with contextlib.suppress(TimeoutError):  # it was the last that the worker has for us
                await asyncio.wait_for(self._answered[call + 1].wait(), 0.2)
                self.overtaken += 1
        prediction = await super().predict(features)
        self._answered[call].set()
        return prediction


# phone      |----- 30 s -----|   silent for 70 s, then the last readings again, and new ones
# clock      |---------------- another device keeps it going -----------------------------|
@settings(max_examples=15, deadline=None)
@given(st.integers(1300, 1450), st.integers(1, 60), st.integers(0, 200))
def test_a_device_that_returns_with_old_readings_starts_anew_in_any_fetches(
    resent_from: int, batch: int, crash_at: int
) -> None:
    idle_ms, samples = 70_000, person(1, 40)
    clock = readings("clock", person(2, 110), START_MS, batch=50)
    phone = readings("phone", samples[:1500], START_MS, batch=10)
    again = readings("phone", samples[resent_from:], START_MS + 20 * resent_from, batch=10)
    later = [OneRecord(r.key, r.value, r.headers, r.timestamp + idle_ms, r.offset) for r in again]
    script: list[Record] = sorted([*clock, *phone, *later], key=lambda record: record.timestamp)
    at = len(script) - 1 - crash_at % len(script)
    whole = asyncio.run(run_script(script))
    piecemeal = asyncio.run(run_script([*script[:at], PAUSE, CRASH, *script[at:]], batch=batch))
    assert contents(piecemeal) == contents(whole)
    assert by_device(piecemeal) == by_device(whole)


# phone      |~~~ g ~~~|~~~ m/s2 ~~~|~~~ g ~~~|~ 1 s ~|  silent for 70 s
# segments   |---------|            |---------|        ^ all of them end at once
# clock      |-------------------------------------------------------------|
MIXED_UNITS = person(3, 40) * np.repeat([1.0, 9.80665, 1.0, 1.0], 500)[:, None]
BROKEN = sorted(
    [
        *readings("phone", MIXED_UNITS, START_MS, batch=25),
        *readings("phone", person(4, 8), START_MS + 41_000, batch=25),
        *readings("clock", person(2, 125), START_MS, batch=50),
    ],
    key=lambda record: record.timestamp,
)


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_segments_end_at_gaps_implausible_windows_and_silence_in_any_batches(
    data: st.DataObject,
) -> None:
    script = draw_marked(data, BROKEN)
    batch = data.draw(st.sampled_from([1, 30, 10_000]))
    published = asyncio.run(run_script(script, batch=batch))
    assert by_device(published) == expected(published.events)
    ended = [current for device_id, current in published.current if device_id == "phone"]
    assert ended.count(None) >= 3


async def test_answers_that_overtake_each_other_are_published_in_order() -> None:
    predictor = Shuffled()
    published = await run_script(SCRIPT, predictor=predictor, batch=4)
    assert predictor.overtaken > 0
    for device in {event.device_id for event in published.events}:
        starts = [e.window_start for e in published.events if e.device_id == device]
        assert starts == sorted(starts)
    assert contents(published) == contents(WHOLE)


class Failing(LocalPredictor):
    def __init__(self, good_calls: int) -> None:
        super().__init__(artifact.load())
        self._left = good_calls

    async def predict(self, features: Floats) -> Prediction:
        self._left -= 1
        if self._left < 0:
            raise ConnectionError("gone")
        return await super().predict(features)


async def test_a_predictor_that_fails_stops_everything_behind_it() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await run_script(SCRIPT, predictor=Failing(3), batch=10)
    assert caught.group_contains(ConnectionError, match="gone")


async def test_a_record_that_is_not_a_reading_is_a_dead_letter() -> None:
    bad = OneRecord(b"person-0", b"{", [], START_MS, 0)
    published = await run_script([*SCRIPT[:100], bad, *SCRIPT[100:]])
    assert [letter.reason for letter in published.dead_letters] == ["malformed"]
    assert contents(published) == contents(WHOLE)
