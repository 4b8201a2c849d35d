"""Runs streamer commands as processes of their own, which end with this one."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from streamer.errors import StreamerError
from streamer.localkafka import guard
from streamer.settings import Settings
from streamer.tools.watch import watch

_POLL_S = 0.5
_LOG_LINES = 10


class Program:
    """A streamer command in its own process, which ends with this process."""

    def __init__(
        self, name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self._name = name
        self._log = folder / f"{name}.log"
        command = [sys.executable, "-m", "streamer", *arguments]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", guard.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **environment},
            )

    def check(self) -> None:
        """Raise StreamerError, with the end of its log, if it has ended."""
        if self.process.poll() is not None:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise StreamerError(
                f"the {self._name} has ended unexpectedly; the end of its log:\n"
                + "\n".join(lines[-_LOG_LINES:])
            )


@contextmanager
def run_program(
    name: str,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Program]:
    """Run a streamer command while the context is open; its output goes to a file in a folder."""
    program = Program(name, arguments, folder, environment)
    try:
        yield program
    finally:
        program.process.communicate()


async def watch_programs(settings: Settings, console: Console, programs: Sequence[Program]) -> None:
    """Show the live table until cancelled.

    Raises:
        StreamerError: a program has ended unexpectedly.
    """
    watching = asyncio.create_task(watch(settings, console, from_beginning=True))
    try:
        while not watching.done():
            for program in programs:
                program.check()
            await asyncio.wait({watching}, timeout=_POLL_S)
        await watching
    finally:
        watching.cancel()
