"""A change of the models is part of the position: a crash changes no byte of any event."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from streamer.arrays import Floats
from streamer.contracts.events import decode_event, encode_event
from streamer.contracts.records import OneRecord, Records
from streamer.contracts.segments import SEGMENT_HEADER, OpenSegment, PublishedEvent
from streamer.features import UCI_HAR
from streamer.flow.pipeline import flow
from streamer.flow.recovery import recover
from streamer.flow.stage_results import Output
from streamer.health import Health
from streamer.kafka import partition_models
from streamer.kafka.partition_models import PartitionModels
from streamer.metrics import Metrics
from streamer.model.identity import ModelIdentity
from streamer.predict.answers import make_ask
from streamer.predict.models import LoadedModels, Models
from streamer.predict.predictor import Prediction
from streamer.predict.serving import Serving
from streamer.publishing.people import Person
from streamer.settings import Settings
from streamer.stream.position import Position
from streamer.testing import readings
from tests.support.golden import make_partition_state
from tests.support.processes import PATIENCE_S

ACTIVITIES = ("walking", "sitting", "standing")


class LastDigits:
    """Scores that look random and depend on nothing but the window and the model."""

    name = "local"

    def __init__(self, model_id: str, activities: Sequence[str] = ACTIVITIES) -> None:
        self._model = ModelIdentity(model_id, "1", tuple(activities), tuple(activities))
        self._seed = sum(model_id.encode())

    async def predict(self, features: Floats) -> Prediction:
        digits = np.abs(features[:, :3] * 1e6 + self._seed) % 1
        weights = np.stack([digits.sum(axis=1) * (i + 1) % 1 + 0.01 for i in range(self.classes)])
        scores = (weights / weights.sum(axis=0)).T
        return Prediction(scores, self._model, digits[:, 0] * 2)

    @property
    def classes(self) -> int:
        return len(self._model.labels)


SERVING = {
    "first": Serving("first", make_ask(LastDigits("first")), is_first=True),
    "second": Serving("second", make_ask(LastDigits("second"))),
    "other": Serving("other", make_ask(LastDigits("other", ("walking", "cycling")))),
}


def make_log() -> list[OneRecord]:
    """Two people who walk for 10 s, interleaved."""
    parts = [readings(f"person-{i}", Person(i).take(500)[0], batch=10) for i in range(2)]
    records = [record for pair in zip(*parts, strict=True) for record in pair]
    return [
        OneRecord(each.key, each.value, each.headers, each.timestamp, offset)
        for offset, each in enumerate(records)
    ]


LOG = make_log()


class Crash(Exception):  # noqa: N818 - it is not an error
    """The worker is killed."""


@dataclass
class Disk:
    """What is committed."""

    outputs: list[Output] = field(default_factory=list)
    events: list[PublishedEvent] = field(default_factory=list)
    position: Position = field(default_factory=lambda: Position(0, 0))

    @property
    def changes(self) -> list[tuple[int, str]]:
        """The first record of each change, and the models that decide from it on."""
        found = [(0, "")]
        for output in self.outputs:
            since, models = output.position.models_since, output.position.models
            if models != found[-1][1]:
                found.append((since, models))
        return found[1:]

    @property
    def content(self) -> dict[str, list[tuple[bytes, bytes]]]:
        """The events of each device and their headers, in their order."""
        found: dict[str, list[tuple[bytes, bytes]]] = {}
        for output in self.outputs:
            for event, header in zip(output.events, output.segments.headers, strict=True):
                found.setdefault(event.device_id, []).append((encode_event(event), header))
        return found


@dataclass
class Worker:
    """One worker after the other on a partition in memory; it is log and sink at once."""

    disk: Disk
    sizes: Sequence[int]
    """Records of its fetches, again and again."""
    changes: Sequence[str | None] = (None,)
    """Models that are found before its fetches, again and again."""
    commits: int = 1_000_000
    """How many commits it survives."""
    first: str = "first"
    """Models with which it starts."""
    behind = False
    exhausted = False
    stopped = False
    interval_s = 0.0
    next = 0
    _fetches = 0

    def __post_init__(self) -> None:
        loaded = LoadedModels(SERVING[self.first], UCI_HAR)
        self.models = Models(lambda: loaded, Metrics(), Health(lambda: 0.0))

    async def run(self, cpu: Executor) -> None:
        """Take the partition over, and run it to the end of the log or to the crash."""
        last, metrics = self.disk.position, Metrics()
        position = Position.parse(last.low, last.metadata())
        models = PartitionModels(self.models, metrics, "readings", 0)
        state = make_partition_state(SETTINGS, position)
        await recover(self, state, position, cpu, lambda _read, _left: None, self._read_events)
        self.next = position.next
        await models.look(position)
        await flow(self, state, models.chooser(state), self, metrics, cpu)

    def seek(self, offset: int) -> None:
        self.next = offset

    async def fetch(self) -> Records | None:
        found = self.changes[self._fetches % len(self.changes)]
        if found is not None:
            self.models.serving = SERVING[found]
        records = await self.fetch_some()
        self._fetches += 1
        return records if len(records) else None

    async def fetch_some(self) -> Records:
        size = self.sizes[self._fetches % len(self.sizes)]
        records = LOG[self.next : self.next + size]
        self.next += len(records)
        return Records.of(records)

    async def commit(self, outputs: Sequence[Output]) -> None:
        if self.commits == 0:
            raise Crash
        self.commits -= 1
        self.disk.outputs += outputs
        self.disk.position = outputs[-1].position
        for output in outputs:
            for event, header in zip(output.events, output.segments.headers, strict=True):
                segment = OpenSegment.from_headers([(SEGMENT_HEADER, header)])
                self.disk.events.append(PublishedEvent(decode_event(encode_event(event)), segment))

    async def finish(self) -> None:
        if self.commits == 0:
            raise Crash

    async def _read_events(self, _start_ms: object, _most: int) -> list[PublishedEvent]:
        return self.disk.events


SETTINGS = Settings.load({"model": "waist"})


async def run_to_end(workers: Sequence[Worker]) -> None:
    with ThreadPoolExecutor(1) as cpu:
        for worker in workers:
            try:
                await worker.run(cpu)
            except* Crash:
                pass


async def undisturbed(changes: Sequence[tuple[int, str]]) -> Disk:
    """What one worker publishes that changes its models at these records."""
    disk = Disk()
    starts = [0, *(offset for offset, _ in changes), len(LOG)]
    sizes = [size for start, end in pairwise(starts) if (size := end - start)]
    names = dict(changes)
    found = [names.get(start) for start, end in pairwise(starts) if end > start]
    await run_to_end([Worker(disk, [*sizes, 1], [*found, None])])
    return disk


models_found = st.sampled_from([None, None, None, *SERVING])


@settings(max_examples=8, deadline=None)
@given(st.data())
async def test_crashes_and_changes_give_the_bytes_of_the_same_changes_without_crashes(
    data: st.DataObject,
) -> None:
    #   worker    first  first  second | killed, recovers: its models are others  second | ...
    #   position                ^ uncommitted: forgotten          ^ named
    disk = Disk()
    workers = [
        Worker(
            disk,
            data.draw(st.lists(st.sampled_from([3, 10, 40]), min_size=1, max_size=4)),
            data.draw(st.lists(models_found, min_size=1, max_size=6)),
            data.draw(st.integers(0, 12)),
            data.draw(st.sampled_from([*SERVING])),
        )
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    await run_to_end([*workers, Worker(disk, [25])])

    assert disk.position.next == len(LOG)
    assert (await undisturbed(disk.changes)).content == disk.content


async def test_models_that_the_next_owner_does_not_have_are_told_and_replaced_at_a_record() -> None:
    disk = Disk()
    await run_to_end([Worker(disk, [20], ["second"], commits=2)])
    assert disk.changes == [(0, "second")]
    with capture_logs() as lines:
        await run_to_end([Worker(disk, [20])])
    [told] = [line for line in lines if line["log_level"] == "warning"]
    assert (told["partition"], told["before"], told["now"]) == ("readings[0]", "second", "first")
    assert disk.changes == [(0, "second"), (disk.outputs[1].position.next, "first")]


async def test_a_partition_whose_models_never_change_does_not_name_them() -> None:
    disk = Disk()
    await run_to_end([Worker(disk, [20], commits=2), Worker(disk, [20])])
    assert disk.position.next == len(LOG)
    assert disk.changes == []
    assert disk.position.metadata().startswith("v2;")


async def test_a_look_that_takes_longer_than_a_takeover_waits_still_changes_the_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition_models, "LOOK_S", 0.0)
    names = ["first"]
    models = Models(
        lambda: LoadedModels(SERVING[names[-1]], UCI_HAR),
        Metrics(),
        Health(lambda: 0.0),
        lambda: names[-1],
    )
    names.append("second")
    position = Position(0, 0, models="second")
    await PartitionModels(models, Metrics(), "readings", 0).look(position)
    async with asyncio.timeout(PATIENCE_S):
        while models.serving.name != "second":  # noqa: ASYNC110 - by a task that tells nobody
            await asyncio.sleep(0.01)
