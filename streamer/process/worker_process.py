"""A worker as a child process: it is started, watched, replaced when it fails, and ended."""

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout

from streamer.errors import RefusedError, StreamerError
from streamer.process.event_loop import run_to_completion
from streamer.process.http_tokens import HttpTokens
from streamer.process.summary import Summary
from streamer.process.worker import run_worker
from streamer.settings import Settings

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
"""Pauses before a worker is started again. The pause doubles each time that it ends soon."""

SOON_S = 60.0
"""A worker that ends before this time probably cannot run at all. After a longer run, its failures
are counted from one again."""

MOST_FAILURES = 5
"""Failures of one worker in a row after which the supervisor gives up."""

ANSWER_S = 1.0
"""Time in which a worker must answer `/healthz` and `/readyz`; health checks wait for 2 s."""

POLL_S = 2.0
"""Pause between two liveness checks of a worker."""

HANG_S = 30.0
"""Time without an answer after which a worker is killed and replaced."""

START_S = 300.0
"""The same for a worker that has not served its pages yet."""

END_S = 15.0
"""Time in which a worker must commit and leave its group when it is told to end."""

HUNG_END_S = 3.0
"""The same for a worker that no longer answers."""

_spawn = multiprocessing.get_context("spawn")


class WorkerProcess:
    """One worker: a process, and after it has ended the process that replaces it."""

    def __init__(
        self, number: int, settings: Settings, session: ClientSession, *, until_end: bool
    ) -> None:
        self.number = number
        name = settings.instance_id and f"{settings.instance_id}-{number}"
        self._settings = settings.model_copy(
            update={
                "http_host": "127.0.0.1",
                "http_port": 0,
                "http_certificate": None,
                "http_private_key": None,
                "instance_id": name,
            }
        )
        self._tokens = HttpTokens(settings.http_token_file)
        self._session = session
        self._until_end = until_end
        self._port: int | None = None
        self._answered_s: float | None = None
        """When the process has answered last; None before its first answer."""
        self._refusal: RefusedError | None = None
        self.summary = Summary()
        """Sum of the summaries of its processes; a process that was killed has none."""

    async def page(self, name: str, patience_s: float) -> str:
        """Return one of its pages; empty when it does not answer in time."""
        if self._port is None:
            return ""
        try:
            async with self._session.get(
                f"http://127.0.0.1:{self._port}/{name}",
                timeout=ClientTimeout(patience_s),
                headers=self._tokens.header(),
            ) as answer:
                page = await answer.text()
        except (ClientError, TimeoutError, OSError):
            return ""
        self._answered_s = time.monotonic()
        return page

    async def keep_running(self, stopping: asyncio.Event) -> None:
        """Start the process, and start it again when it fails.

        Raises:
            StreamerError: it has failed again and again, or starting it again cannot help.
        """
        failures = 0
        while not stopping.is_set():
            began_s = time.monotonic()
            code = await self._run(stopping)
            if code == 0:
                return
            if self._refusal is not None:
                raise StreamerError(f"worker {self.number} has ended: {self._refusal}")
            if stopping.is_set():
                # A signal to all processes of a group reaches a worker twice.
                if code != -signal.SIGTERM:
                    log.warning("a worker did not end in order", worker=self.number, code=code)
                return
            failures = failures + 1 if time.monotonic() - began_s < SOON_S else 1
            if failures == MOST_FAILURES:
                raise StreamerError(
                    f"worker {self.number} has ended {failures} times in a row, with code {code}; "
                    "its log lines say why"
                )
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (failures - 1))
            log.warning("a worker has ended", worker=self.number, code=code, pause_s=pause_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause_s)

    async def _run(self, stopping: asyncio.Event) -> int:
        """Run the process once; return its exit code."""
        ours, theirs = _spawn.Pipe(duplex=False)
        process = _spawn.Process(
            target=_main_of_child, args=(self.number, self._settings, self._until_end, theirs)
        )
        self._answered_s = None
        process.start()
        theirs.close()
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(process.sentinel, ended.set)
        loop.add_reader(ours.fileno(), self._hear, ours)
        try:
            await self._watch(process, ended, stopping)
        finally:
            await self._end(process, ended)
            loop.remove_reader(process.sentinel)
            while self._hear(ours):
                pass
            self._port = None
            process.join()
            code = process.exitcode
            ours.close()
            process.close()
        return code or 0

    def _hear(self, ours: Connection) -> bool:
        """Receive a message, and return whether there was one.

        It is the port when the process serves. When the process ends, it is the summary, or the
        error that starting it again does not cure.
        """
        try:
            message = ours.recv() if ours.poll() else None
        except (EOFError, OSError):
            message = None
        match message:
            case int():
                self._port = message
            case Summary():
                self.summary += message
            case RefusedError():
                self._refusal = message
            case _:
                asyncio.get_running_loop().remove_reader(ours.fileno())
        return message is not None

    async def _watch(
        self, process: SpawnProcess, ended: asyncio.Event, stopping: asyncio.Event
    ) -> None:
        """Wait until the process has ended or shall stop. Kill it if it hangs."""
        stop = asyncio.create_task(stopping.wait())
        end = asyncio.create_task(ended.wait())
        began_s = time.monotonic()
        try:
            while True:
                done, _ = await asyncio.wait(
                    {stop, end}, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED
                )
                if done:
                    return
                await self.page("healthz", ANSWER_S)
                silent_s = time.monotonic() - (self._answered_s or began_s)
                longest_s = START_S if self._answered_s is None else HANG_S
                if silent_s > longest_s and not end.done():
                    log.error(
                        "a worker does not answer: it is killed and replaced",
                        worker=self.number,
                        silent_s=round(silent_s),
                    )
                    process.kill()
                    await end
                    return
        finally:
            stop.cancel()
            end.cancel()

    async def _end(self, process: SpawnProcess, ended: asyncio.Event) -> None:
        """Tell the process to end; kill it when it does not."""
        if ended.is_set():
            return
        process.terminate()
        answers = await self.page("healthz", ANSWER_S)
        patience_s = END_S if answers or self._port is None else HUNG_END_S
        try:
            await asyncio.wait_for(ended.wait(), patience_s)
        except TimeoutError:
            log.error(
                "a worker does not end: it is killed; the next one repeats what was uncommitted",
                worker=self.number,
                waited_s=patience_s,
            )
            process.kill()
            await ended.wait()


def _main_of_child(number: int, settings: Settings, until_end: bool, pipe: Connection) -> None:
    """Run a worker in this process, and send its summary."""
    structlog.contextvars.bind_contextvars(worker=number)
    try:
        summary = run_to_completion(_run_in_child(settings, until_end, pipe))
    except StreamerError as error:
        log.error(str(error))
        if isinstance(error, RefusedError):
            with suppress(OSError):
                pipe.send(error)
        sys.exit(1)
    # Nobody reads it if the supervisor was killed.
    with suppress(OSError):
        pipe.send(summary)


async def _run_in_child(settings: Settings, until_end: bool, pipe: Connection) -> Summary:
    loop, supervisor = asyncio.get_running_loop(), multiprocessing.parent_process()
    assert supervisor is not None

    def end_with_supervisor() -> None:
        loop.remove_reader(supervisor.sentinel)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(supervisor.sentinel, end_with_supervisor)
    return await run_worker(settings, until_end=until_end, on_port=pipe.send)
