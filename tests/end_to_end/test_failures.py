"""Workers that come back from the dead, brokers that fall over or go away."""

import asyncio
import re
import signal
import time
from pathlib import Path

import psutil
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streamer.kafka import topics
from streamer.kafka.member import make_group_consumer
from streamer.kafka.positions import read_position
from streamer.localkafka.broker import LocalKafka
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.feeding import append, feeding
from tests.support.fleet import ENDED_WELL, Fleet, fleet
from tests.support.golden import compare, golden, read_published
from tests.support.log import Log, make_log
from tests.support.processes import PATIENCE_S, until


@pytest.fixture(scope="module")
def log() -> Log:
    return make_log(200, seed=1)


PATIENT = ("--session-timeout-s", "20")
"""Longer than it takes to start a worker on a slow machine."""


async def test_until_end_ends_when_the_whole_group_has_reached_the_end(
    make_settings: MakeSettings, tmp_path: Path, log: Log
) -> None:
    #   silent   |-- has partitions and does nothing ---------| leaves
    #   last            |-- finishes its own, waits ----------| gets the others, finishes |
    settings = make_settings()
    with fleet(settings, tmp_path) as running:
        async with feeding(settings) as producer:
            await append(producer, settings.readings_topic, log)
        async with make_group_consumer(settings) as silent:
            silent.subscribe([settings.readings_topic])
            await silent.getmany()
            running.start("last", "--until-end")
            await asyncio.to_thread(running.says, "last", "waiting for other members")
            assert silent.assignment()
        assert await asyncio.to_thread(running.wait, "last") in ENDED_WELL
        assert compare(await golden(log, settings), await read_published(settings)).good


async def assert_golden(settings: Settings, log: Log, workers: Fleet) -> None:
    await asyncio.to_thread(workers.run_to_end)
    verdict = compare(await golden(log, settings), await read_published(settings))
    assert verdict.good, f"{verdict}, order of {verdict.disordered}"


async def caught_up(settings: Settings, log: Log) -> None:
    """Wait until the group is done with every record of the log."""
    async with topics.admin_client(settings, PATIENCE_S) as admin, asyncio.timeout(PATIENCE_S):
        for number, records in enumerate(log):
            partition = TopicPartition(settings.readings_topic, number)
            position = await read_position(admin, settings.group_id, partition)
            while position is None or position.next < len(records):
                await asyncio.sleep(0.1)  # of another process
                position = await read_position(admin, settings.group_id, partition)


async def test_a_stopped_worker_that_resumes_inside_its_transaction_publishes_nothing(
    make_settings: MakeSettings, tmp_path: Path, log: Log
) -> None:
    #   zombie   |-- sends events and position --| frozen ......... | commit: refused
    #   heir                       |-- waits ----- fences, recovers, publishes ----------|
    settings = make_settings(commit_interval_ms=5)
    with fleet(settings, tmp_path) as running:
        async with feeding(settings) as producer:
            await append(producer, settings.readings_topic, log, (0, 0.5))
            doom = ("after the position, before the commit", 2)
            running.start("zombie", *PATIENT, doom=doom, blow=signal.SIGSTOP)
            zombie = psutil.Process(running.running["zombie"].pid)
            await asyncio.to_thread(until, lambda: zombie.status() == psutil.STATUS_STOPPED)
            running.start("heir", *PATIENT)
            await asyncio.to_thread(running.says, "heir", "waiting for partitions")
            await asyncio.to_thread(running.says, "heir", "recovered")
            await append(producer, settings.readings_topic, log, (0.5, 1))
            zombie.resume()
            await asyncio.to_thread(running.says, "zombie", "ProducerFenced")
        await asyncio.to_thread(running.stop, "zombie", "heir")
        await assert_golden(settings, log, running)


async def test_a_static_member_that_returns_in_time_causes_no_rebalance(
    make_settings: MakeSettings, tmp_path: Path, log: Log
) -> None:
    #   first    |----- killed |---------- stopped |----------
    #   second   |--------------------------------------------   keeps what it has, all along
    settings = make_settings()
    with fleet(settings, tmp_path) as running:
        async with feeding(settings) as producer:
            for name in ("first", "second"):
                running.start(name, "--instance-id", name, *PATIENT)
            await asyncio.to_thread(until, lambda: shared(running, "first", "second"))
            before = [assignments(running, name) for name in ("first", "second")]
            for end, share in ((running.kill, (0, 0.5)), (running.stop, (0.5, 1))):
                await asyncio.to_thread(end, "first")
                running.start("first", "--instance-id", "first", *PATIENT)
                times = len(assignments(running, "first")) + 1
                await asyncio.to_thread(running.says, "first", "assigned ", times)
                await append(producer, settings.readings_topic, log, share)
            assert assignments(running, "first") == before[0] + 2 * before[0][-1:]
            assert assignments(running, "second") == before[1]
        await asyncio.to_thread(running.stop, "first", "second")
        assert assignments(running, "second") == before[1]
        await assert_golden(settings, log, running)


def assignments(running: Fleet, name: str) -> list[str]:
    """The partitions that a worker was given, each time."""
    return re.findall(r"assigned +partitions=(\[.*?\])", running.text(name))


def shared(running: Fleet, *names: str) -> bool:
    """Whether all workers have partitions, each its own."""
    last = [assignments(running, name)[-1:] for name in names]
    return all(last) and sorted(re.findall(r"\d", str(last))) == ["0", "1", "2"]


async def test_a_leader_killed_under_load_loses_nothing(tmp_path: Path, log: Log) -> None:
    with LocalKafka(3) as kafka:
        settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers})
        with fleet(settings, tmp_path) as running:
            async with feeding(settings) as producer:
                running.start("worker")
                await append(producer, settings.readings_topic, log, (0, 0.4))
                await asyncio.to_thread(running.says, "worker", "assigned")
                kafka.kill(await leader(settings))
                await append(producer, settings.readings_topic, log, (0.4, 1))
            await asyncio.to_thread(running.stop, "worker")
            await assert_golden(settings, log, running)


async def leader(settings: Settings) -> int:
    """The node that leads the first partition of the readings."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        [topic] = await admin.describe_topics([settings.readings_topic])
    finally:
        await admin.close()
    return int(next(each["leader"] for each in topic["partitions"] if each["partition"] == 0))


@pytest.mark.parametrize("outage_s", [10, pytest.param(60, marks=pytest.mark.slow)])
async def test_a_worker_survives_without_a_broker_and_catches_up(
    outage_s: float, tmp_path: Path, log: Log
) -> None:
    with LocalKafka(data_dir=tmp_path / "kafka") as kafka:
        settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers})
        with fleet(settings, tmp_path) as running:
            running.start("worker")
            async with feeding(settings) as producer:
                await append(producer, settings.readings_topic, log, (0, 0.4))
            await asyncio.to_thread(running.says, "worker", "assigned")
            process = psutil.Process(running.running["worker"].pid)
            before = process.memory_info().rss
            await asyncio.to_thread(kafka.stop)
            since_s = time.monotonic()
            while time.monotonic() < since_s + outage_s:
                assert process.is_running()
                assert process.memory_info().rss < before + 50e6
                await asyncio.sleep(1)
            await asyncio.to_thread(kafka.start)
            async with feeding(settings) as producer:
                await append(producer, settings.readings_topic, log, (0.4, 1))
            await caught_up(settings, log)
            await asyncio.to_thread(running.stop, "worker")
            await assert_golden(settings, log, running)


async def test_a_worker_cut_off_from_the_broker_inside_its_transaction_ends_on_sigterm(
    tmp_path: Path, log: Log
) -> None:
    #   worker   |-- sends events --| frozen | no broker to commit or to abort by; SIGTERM: ends |
    #   broker   |--------------------| gone
    with LocalKafka() as kafka:
        settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers})
        with fleet(settings, tmp_path) as running:
            async with feeding(settings) as producer:
                await append(producer, settings.readings_topic, log, (0, 0.5))
            doom = ("after the position, before the commit", 2)
            running.start("worker", doom=doom, blow=signal.SIGSTOP)
            worker = psutil.Process(running.running["worker"].pid)
            await asyncio.to_thread(until, lambda: worker.status() == psutil.STATUS_STOPPED)
            await asyncio.to_thread(kafka.stop)
            worker.resume()
            worker.terminate()
            assert await asyncio.to_thread(running.wait, "worker") in (0, 1)
