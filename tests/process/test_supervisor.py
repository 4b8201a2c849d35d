"""`streamer run --workers`: several processes, one command, one port."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from aiohttp import ClientSession

from streamer.errors import StreamerError
from streamer.kafka import topics
from streamer.process.worker_process import WorkerProcess
from tests.conftest import MakeSettings
from tests.support.feeding import append, feeding
from tests.support.golden import compare, golden, read_published
from tests.support.log import Log, make_log
from tests.support.member import Member, working
from tests.support.member import until as until_true
from tests.support.processes import until
from tests.support.worker_process import Process, assert_balanced, run, total, values_of


@pytest.fixture(scope="module")
def log() -> Log:
    return make_log(60, seed=8)


def workers_of(supervisor: Process) -> list[psutil.Process]:
    children = psutil.Process(supervisor.process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def assigned(supervisor: Process) -> int:
    page = supervisor.get("/metrics")[1]
    return int(total(values_of(page), "assigned_partitions"))


async def test_workers_share_the_partitions_and_their_metrics_are_on_one_page(
    make_settings: MakeSettings, tmp_path: Path, log: Log
) -> None:
    settings = make_settings()
    async with feeding(settings) as producer:
        await append(producer, settings.readings_topic, log)
    with run(settings, tmp_path / "log", "--workers", "2", *TOLERANT) as supervisor:
        await asyncio.to_thread(supervisor.until_ready)
        await asyncio.to_thread(until, lambda: assigned(supervisor) == 3)
        page = supervisor.get("/metrics")[1]
        assert len(workers_of(supervisor)) == 2
        numbers = set(re.findall(r'streamer_assigned_partitions\{worker="(\d)"\}', page))
        assert numbers == {"0", "1"}
        assert "worker=1" in supervisor.said
        health = json.loads(supervisor.get("/healthz")[1])
        # One device sends another unit; whether it has been found already depends on the machine.
        assert set(health.pop("devices_without_labels").items()) <= {("implausible", 1)}
        assert health == {"alive": True, "trouble": None}
        assert_balanced(values_of(page))
        supervisor.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(supervisor.ends, 0)
    assert supervisor.said.count("all workers have ended") == 1


async def test_until_the_end_every_worker_ends_and_nothing_is_lost(
    make_settings: MakeSettings, tmp_path: Path, log: Log
) -> None:
    settings = make_settings()
    async with feeding(settings) as producer:
        await append(producer, settings.readings_topic, log)
    flags = ["--workers", "3", "--until-end", *TOLERANT]
    with run(settings, tmp_path / "log", *flags) as supervisor:
        await asyncio.to_thread(supervisor.ends, 0, 60)
    assert compare(await golden(log, settings), await read_published(settings)).good


async def test_a_worker_that_is_killed_comes_back(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings()
    flags = ["--workers", "2", "--session-timeout-s", "6"]
    with run(settings, tmp_path / "log", *flags) as supervisor:
        await asyncio.to_thread(supervisor.until_ready)
        [victim, _] = await asyncio.to_thread(workers_of, supervisor)
        victim.kill()
        await asyncio.to_thread(supervisor.until_it_says, "a worker has ended")
        await asyncio.to_thread(until, lambda: supervisor.get("/readyz")[0] == 200)
        assert victim.pid not in {worker.pid for worker in workers_of(supervisor)}
        assert len(workers_of(supervisor)) == 2


def test_a_worker_that_cannot_run_ends_the_supervisor_with_its_error(tmp_path: Path) -> None:
    broken = Process(
        tmp_path / "log", "run", "--workers", "2", "--model", str(tmp_path / "none"), *NOWHERE
    )
    broken.ends(1, 60)
    assert "none cannot be read" in broken.said
    assert "5 times in a row" in broken.said


# one machine        |-- worker 0 of "host", works --| ends with the reason
# another machine                |-- worker 0 of "host" joins, works --|
async def test_the_first_of_two_machines_with_one_instance_id_ends_with_the_reason(
    make_settings: MakeSettings,
) -> None:
    host = make_settings(partitions=1, instance_id="host", session_timeout_s=6)
    await topics.ensure(host)
    stopping = asyncio.Event()
    async with ClientSession() as session:
        worker = WorkerProcess(0, host, session, until_end=False)
        running = asyncio.create_task(worker.keep_running(stopping))

        async def works() -> bool:
            running.done() and running.result()
            return "streamer_assigned_partitions 1.0" in await worker.page("metrics", 5)

        try:
            await until_true(works)
            async with working(Member(host.model_copy(update={"instance_id": "host-0"}))):
                with pytest.raises(StreamerError, match=r"^worker 0 .*every machine"):
                    await asyncio.wait_for(running, 60)
        finally:
            stopping.set()
            await asyncio.wait({running})


def test_workers_do_not_outlive_their_supervisor(tmp_path: Path) -> None:
    supervisor = Process(tmp_path / "log", "run", "--workers", "2", *NOWHERE)
    until(lambda: supervisor.said.count(" working ") == 2)
    workers = workers_of(supervisor)
    assert len(workers) == 2
    os.kill(supervisor.process.pid, signal.SIGKILL)
    supervisor.process.wait()
    assert psutil.wait_procs(workers, timeout=20)[1] == []


IMPATIENT = """
from streamer.process import worker_process
worker_process.POLL_S, worker_process.HANG_S, worker_process.FIRST_PAUSE_S = 0.2, 4.0, 0.1
"""


@contextmanager
def two_workers_without_a_broker(tmp_path: Path) -> Iterator[Process]:
    supervisor = Process(tmp_path / "log", "run", "--workers", "2", *NOWHERE, before=IMPATIENT)
    try:
        until(lambda: supervisor.said.count(" working ") == 2)
        # A worker that has never answered may be compiling, and has minutes to answer.
        until(lambda: "does not answer" not in supervisor.get("/healthz")[1])
        yield supervisor
    finally:
        workers = workers_of(supervisor) if supervisor.process.poll() is None else []
        supervisor.process.kill()
        supervisor.process.wait()
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()


# worker 0   |-- works --| frozen ................. | killed     | another one works --|
# health                 | answers, and says who does not |
def test_a_worker_that_hangs_is_killed_and_replaced_and_health_answers_in_time(
    tmp_path: Path,
) -> None:
    with two_workers_without_a_broker(tmp_path) as supervisor:
        victim = workers_of(supervisor)[0]
        victim.suspend()
        status, page = supervisor.get("/healthz")
        assert (status, "does not answer" in page) == (200, True)
        supervisor.until_it_says("a worker does not answer: it is killed and replaced")
        until(lambda: supervisor.said.count(" working ") == 3)
        workers = workers_of(supervisor)
        assert len(workers) == 2
        assert victim.pid not in {worker.pid for worker in workers}


def test_sigterm_ends_the_supervisor_though_a_worker_hangs(tmp_path: Path) -> None:
    with two_workers_without_a_broker(tmp_path) as supervisor:
        workers = workers_of(supervisor)
        workers[1].suspend()
        supervisor.process.send_signal(signal.SIGTERM)
        supervisor.ends(0, 60)
        assert "a worker does not end: it is killed" in supervisor.said
        assert psutil.wait_procs(workers, timeout=20)[1] == []


TOLERANT = ["--max-reject-share", "1"]
NOWHERE = ["--bootstrap-servers", "127.0.0.1:9", "--http-port", "0"]
