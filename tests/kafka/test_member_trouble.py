"""What is neither the data's fault nor Kafka's: nothing is skipped, and other partitions go on."""

import asyncio
import re
import threading
from concurrent.futures import Executor

import pytest
from aiokafka.errors import KafkaConnectionError

from streamer.arrays import Floats
from streamer.contracts.readings import Record
from streamer.contracts.records import OneRecord, Records
from streamer.errors import KafkaError, ProcessingError, RejectsError
from streamer.flow.partition_state import PartitionState
from streamer.flow.stage_results import Computed
from streamer.kafka import lane, lanes, member, topics
from streamer.kafka.attempts import ATTEMPTS
from streamer.kafka.member import GroupMember
from streamer.kafka.skip import skip_record
from streamer.model import artifact
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.predictor import Prediction
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.member import (
    WINDOWS_OF_10_S,
    Member,
    publish,
    read_events,
    read_topic,
    run_to_end,
    ten_seconds,
    until,
    until_devices,
    working,
)
from tests.support.processes import run
from tests.support.worker_process import where


class Brittle(LocalPredictor):
    """A model with a bug: it breaks on whatever moves, until it is cured."""

    def __init__(self) -> None:
        super().__init__(artifact.load(artifact.WAIST_MODEL))
        self.cured = False
        self.breaks = 0

    async def predict(self, features: Floats) -> Prediction:
        moving = features[:, 3] > -0.98  # tBodyAcc-std()-X
        if moving.any() and not self.cured:
            self.breaks += 1
            raise ZeroDivisionError("a bug of ours")
        return await super().predict(features)


def still(device_id: str) -> list[Record]:
    """Ten seconds of a device that does not move."""
    value = b'{"device_id": "%s", "timestamp": %d, "acc": [0, -0.98, 0.12], "gyro": [0, 0, %f]}'
    name = device_id.encode()
    start_ms = ten_seconds(device_id)[0].timestamp
    # A gyroscope that works is never entirely silent.
    values = [value % (name, start_ms + 20 * i, 0.001 * (i % 2)) for i in range(500)]
    return [OneRecord(name, one, [], start_ms, 0) for one in values]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "RETRY_S", 0.05)
    monkeypatch.setattr(lane, "LOOK_AGAIN_S", 0.2)


async def until_broken(worker: Member) -> str:
    """Wait until a partition is held; return why."""

    async def broken() -> bool:
        return bool(worker.health.held)

    await until(broken)
    [problem] = worker.health.held
    return problem


@pytest.mark.usefixtures("impatient")
async def test_a_bug_holds_its_partition_after_some_attempts_and_no_other(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    await publish(settings, still("still"), 0)
    await publish(settings, ten_seconds("moving"), 1)
    predictor = Brittle()
    async with working(Member(settings, predictor)) as worker:
        problem = await until_broken(worker)
        assert f"our own code fails on {settings.readings_topic}[1], the record " in problem
        assert "ZeroDivisionError('a bug of ours')" in problem
        assert predictor.breaks >= ATTEMPTS
        assert (worker.health.why_not_ready() or "").startswith("held: ")
        # The other one still works: what is published now is labelled.
        await publish(settings, still("still too"), 0)
        await until_devices(settings, "still", "still too")

    # Cured, nothing is missing.
    predictor.cured = True
    await Member(settings, predictor, until_end=True).run()
    events = await read_events(settings)
    assert sum(event.device_id == "moving" for event in events) in WINDOWS_OF_10_S
    assert len({event.window_id for event in events}) == len(events)


@pytest.mark.usefixtures("impatient")
async def test_until_the_end_a_bug_is_an_error(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    await publish(settings, ten_seconds("moving"))
    with pytest.raises(ProcessingError, match=r"\[0\], the record \d+: ZeroDivisionError.*3 times"):
        await Member(settings, Brittle(), until_end=True).run()
    assert await read_events(settings) == []


# records    0 ................. 337 ................. 499
# attempt 1  |------------- all ----------------------|
# attempt 2  |-- 22 --|-- 22 --| ... |- 330..351 -|
# attempt 3                          ||||||337
@pytest.mark.usefixtures("impatient")
async def test_the_record_at_fault_is_found_and_can_be_skipped(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    records = ten_seconds("phone", batch=1)
    records[337] = OneRecord(b"phone", b"break", [("h", b"1")], records[337].timestamp, 0)
    await publish(settings, [*records, *ten_seconds("after")])
    decode = PartitionState._decode

    def break_on_some(state: PartitionState, fetched: object) -> object:
        if any(record.value == b"break" for record in fetched):  # type: ignore[attr-defined]
            raise ZeroDivisionError("a bug of ours")
        return decode(state, fetched)  # type: ignore[arg-type]

    monkeypatch.setattr(PartitionState, "_decode", break_on_some)
    async with working(Member(settings)) as worker:
        problem = await until_broken(worker)
        assert f"fails on {settings.readings_topic}[0], the record 337: ZeroDivision" in problem
        [advice] = re.findall(r"streamer skip (\d+) (\d+)", problem)
        assert advice == ("0", "337")

        await skip_record(settings, 0, 337)
        await until_devices(settings, "after")

        async def well() -> bool:
            return worker.health.trouble() is None

        await until(well)
    [letter] = await read_topic(settings, settings.dlq_topic)
    assert (letter.key, letter.value) == (b"phone", b"break")
    assert dict(letter.headers)["streamer-reason"] == b"skipped"
    assert dict(letter.headers)["streamer-origin-offset"] == b"337"
    # A recovery reads it again, and skips it again.
    await publish(settings, ten_seconds("later"))
    await run_to_end(settings)
    assert len(await read_topic(settings, settings.dlq_topic)) == 1


async def test_a_processed_or_missing_record_cannot_be_skipped(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    await publish(settings, ten_seconds("phone"))
    with pytest.raises(ProcessingError, match=r"no record 12 .* it ends at 10"):
        await skip_record(settings, 0, 12)
    await run_to_end(settings)
    with pytest.raises(ProcessingError, match=r"record 3 .* is processed already"):
        await skip_record(settings, 0, 3)
    command = ["skip", "7", "3", *where(settings, "readings_topic", "group_id")]
    refused = await asyncio.to_thread(run, *command)
    assert refused.returncode == 1
    assert f"{settings.readings_topic} has no partition 7" in refused.stderr


# partition 0   |-- 3,000 records of rubbish from one publisher --|   held
# partition 1   |-- ten seconds --|                                   goes on
async def test_when_most_records_of_a_partition_are_refused_only_that_partition_is_held(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    rubbish = OneRecord(b"gym[/]band", b"", [], 0, 0)
    await publish(settings, [rubbish] * 3000, 0)
    async with working(Member(settings)) as worker:
        problem = await until_broken(worker)
        assert "refused, more than max_reject_share" in problem
        assert "the keys 'gym[/]band' (" in problem
        assert "--max-reject-share 1" in problem
        await publish(settings, ten_seconds("phone"), 1)
        await until_devices(settings, "phone")
    assert len(await read_topic(settings, settings.dlq_topic)) < 1000
    with pytest.raises(RejectsError, match="--max-reject-share 1"):
        await run_to_end(settings)
    # The documented way past it.
    await run_to_end(make_settings(max_reject_share=1))
    assert len(await read_topic(settings, settings.dlq_topic)) == 3000


async def test_restarts_that_do_not_help_end_the_worker_with_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sessions = 0

    async def broken(_: GroupMember, __: Executor, ___: object) -> None:
        nonlocal sessions
        sessions += 1
        if sessions == 3:
            worker.health.progress()  # which makes it forget the two failures before
        raise KafkaConnectionError("again")

    monkeypatch.setattr(GroupMember, "_session", broken)
    monkeypatch.setattr(member, "RESTART_S", 0.001)
    worker = Member(Settings.load({}))
    with pytest.raises(KafkaError, match=r"started again 8 times; .*KafkaConnectionError"):
        await worker.run()
    assert sessions == 2 + member.MOST_FAILURES + 1


# compute       |------- in a thread ---------|
# the flow         | cut off                     the state is handed over when the thread is done
async def test_a_partition_that_is_cut_off_while_it_computes_leaves_no_devices_in_the_metrics(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "DRAIN_S", 0.1)
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    await publish(settings, ten_seconds("phone"))
    computes, may_end = threading.Event(), threading.Event()
    compute = PartitionState.compute

    def compute_slowly(state: PartitionState, records: Records, following: int) -> Computed:
        computes.set()
        may_end.wait(60)
        return compute(state, records, following)

    monkeypatch.setattr(PartitionState, "compute", compute_slowly)
    async with working(Member(settings)) as member:
        assert await asyncio.to_thread(computes.wait, 60)
        asyncio.get_running_loop().call_later(1, may_end.set)
    assert member.value("records_total") > 0
    assert member.value("devices") == 0
