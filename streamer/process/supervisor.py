"""Several workers on one machine: processes that are kept running, and one HTTP port for all.

The workers are members of one consumer group like any others, so nothing is shared between them;
the supervisor only keeps them running and shows their metrics together, with a label `worker`.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from streamer.errors import StreamerError
from streamer.process import log as logging
from streamer.process.event_loop import run_to_completion
from streamer.process.http import serve_pages
from streamer.process.worker import handle_signals, run_worker
from streamer.settings import Settings

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
"""Before a worker is started again; longer each time that it ends soon."""

SOON_S = 60.0
"""A worker that ran for so long has ended by accident and not because it cannot run."""

MOST_FAILURES = 5
"""In a row, of one worker; then something must be put right first."""

ANSWER_S = 3.0
"""How long a worker may take to say how it is."""

_spawn = multiprocessing.get_context("spawn")


async def supervise(settings: Settings, workers: int, *, until_end: bool = False) -> None:
    """Keep workers running until the end or a signal.

    Args:
        settings: of each of them, but for the port, which is the supervisor's.
        workers: how many.
        until_end: each ends when the group is through with what was in the topic.

    Raises:
        StreamerError: a worker ends again and again.
    """
    logging.configure(settings)
    stopping = asyncio.Event()
    handle_signals(stopping)
    members = [WorkerProcess(number, settings, until_end=until_end) for number in range(workers)]
    async with (
        ClientSession(timeout=ClientTimeout(ANSWER_S)) as session,
        serve_pages(settings, FleetPages(session, members)) as port,
    ):
        url = f"http://{settings.http_host}:{port}/metrics"
        log.info("supervising", workers=workers, metrics=url)
        try:
            async with asyncio.TaskGroup() as tasks:
                for member in members:
                    tasks.create_task(member.keep_running(stopping))
        except* StreamerError as errors:
            raise errors.exceptions[0] from None
    log.info("all workers have ended")


class WorkerProcess:
    """One worker, in whichever process it runs just now."""

    def __init__(self, number: int, settings: Settings, *, until_end: bool) -> None:
        self.number = number
        name = settings.instance_id and f"{settings.instance_id}-{number}"
        self._settings = settings.model_copy(
            update={"http_host": "127.0.0.1", "http_port": 0, "instance_id": name}
        )
        self._until_end = until_end
        self.port: int | None = None
        """Of its own HTTP; None while it starts."""

    async def keep_running(self, stopping: asyncio.Event) -> None:
        """Start it, and again when it ends before its time.

        Raises:
            StreamerError: it does so again and again.
        """
        failures = 0
        while not stopping.is_set():
            began_s = time.monotonic()
            code = await self._run(stopping)
            if code == 0:
                return
            if stopping.is_set():
                log.warning("a worker did not end well", worker=self.number, code=code)
                return
            failures = failures + 1 if time.monotonic() - began_s < SOON_S else 1
            if failures == MOST_FAILURES:
                raise StreamerError(
                    f"worker {self.number} has ended {failures} times in a row, with code {code}; "
                    "what it has logged says why"
                )
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (failures - 1))
            log.warning("a worker has ended", worker=self.number, code=code, pause_s=pause_s)
            pause = asyncio.create_task(stopping.wait())
            await asyncio.wait({pause}, timeout=pause_s)
            pause.cancel()

    async def _run(self, stopping: asyncio.Event) -> int:
        """Run it once; its exit code."""
        ours, theirs = _spawn.Pipe(duplex=False)
        process = _spawn.Process(
            target=_main_of_child, args=(self.number, self._settings, self._until_end, theirs)
        )
        process.start()
        theirs.close()
        try:
            return await self._watch(process, ours, stopping)
        finally:
            self.port = None
            ours.close()
            if process.is_alive():
                process.terminate()
                process.join()
            process.close()

    async def _watch(self, process: SpawnProcess, ours: Connection, stopping: asyncio.Event) -> int:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def hear() -> None:
            # It says its port, and nothing else; what comes at its end is the end of the pipe.
            loop.remove_reader(ours.fileno())
            if process.is_alive() and ours.poll():
                self.port = ours.recv()

        loop.add_reader(process.sentinel, ended.set)
        loop.add_reader(ours.fileno(), hear)
        waits = [asyncio.create_task(event.wait()) for event in (ended, stopping)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not ended.is_set():
                process.terminate()
                await ended.wait()
        finally:
            loop.remove_reader(process.sentinel)
            loop.remove_reader(ours.fileno())
            for wait in waits:
                wait.cancel()
        process.join()
        return process.exitcode or 0


class FleetPages:
    """The workers' pages, put together."""

    def __init__(self, session: ClientSession, members: Sequence[WorkerProcess]) -> None:
        self._session = session
        self._members = members

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """All metrics of those that answer, each with its worker's number."""
        registry = CollectorRegistry()
        registry.register(_MergedMetrics(await self._pages("metrics")))
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    async def trouble(self) -> str | None:
        """What the workers have."""
        return await self._said("healthz", "trouble")

    async def why_not_ready(self) -> str | None:
        """What the workers lack."""
        return await self._said("readyz", "reason")

    async def _said(self, page: str, field: str) -> str | None:
        answers = await self._pages(page)
        said = [
            f"worker {number}: {json.loads(answer)[field] if answer else 'does not answer'}"
            for number, answer in enumerate(answers)
            if not answer or json.loads(answer)[field]
        ]
        return "; ".join(said) or None

    async def _pages(self, page: str) -> list[str]:
        """A page of each worker; empty when it does not answer."""
        return await asyncio.gather(*(self._page(member, page) for member in self._members))

    async def _page(self, member: WorkerProcess, page: str) -> str:
        if member.port is None:
            return ""
        try:
            async with self._session.get(f"http://127.0.0.1:{member.port}/{page}") as answer:
                return await answer.text()
        except (ClientError, TimeoutError):
            return ""


class _MergedMetrics(Collector):
    """Metrics of several pages, told apart by a label."""

    def __init__(self, pages: Sequence[str]) -> None:
        self._pages = pages

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for number, page in enumerate(self._pages):
            for family in text_string_to_metric_families(page):
                whole = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {"worker": str(number), **sample.labels}
                    whole.add_sample(sample.name, labels, sample.value)
        yield from families.values()


def _main_of_child(number: int, settings: Settings, until_end: bool, port: Connection) -> None:
    """What a worker's process does."""
    structlog.contextvars.bind_contextvars(worker=number)
    try:
        run_to_completion(_run_in_child(settings, until_end, port))
    except StreamerError as error:
        log.error(str(error))
        sys.exit(1)


async def _run_in_child(settings: Settings, until_end: bool, port: Connection) -> None:
    loop, supervisor = asyncio.get_running_loop(), multiprocessing.parent_process()
    assert supervisor is not None

    def orphaned() -> None:
        loop.remove_reader(supervisor.sentinel)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(supervisor.sentinel, orphaned)
    await run_worker(settings, until_end=until_end, on_port=port.send)
