"""Runs broker, endpoint, worker and devices on one machine, and shows the live table."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from streamer.errors import StreamerError
from streamer.kafka import topics
from streamer.localkafka import guard
from streamer.localkafka.broker import LocalKafka, free_ports
from streamer.settings import Settings
from streamer.tools.watch import watch

_POLL_S = 0.5
_LOG_LINES = 10

_ASKING = ["--predictor", "sagemaker", "--endpoint", "waist", "--endpoint-format", "npy"]


def show_demo(settings: Settings, devices: int, console: Console) -> None:
    """Run the demo until Ctrl-C, and end everything it has started.

    Args:
        settings: of the worker; the demo chooses the brokers.
        devices: number of simulated people.
        console: shows the table.

    Raises:
        StreamerError: a part of the demo has ended unexpectedly.
    """
    with tempfile.TemporaryDirectory(prefix="streamer-demo-") as scratch:
        console.print("Starting Apache Kafka ...")
        with LocalKafka() as kafka:
            settings = settings.model_copy(update={"bootstrap_servers": kafka.bootstrap_servers})
            where = ["--bootstrap-servers", kafka.bootstrap_servers]
            [port] = free_ports(1)
            address = f"http://127.0.0.1:{port}"
            endpoint = ["endpoint", "--port", str(port)]
            worker = ["run", *where, "--http-port", str(settings.http_port), *_ASKING]
            people = ["simulate", *where, "--devices", str(devices), "--batch", "10"]
            asyncio.run(topics.ensure(settings))
            with (
                _program("endpoint", endpoint, Path(scratch)) as answering,
                _program("worker", worker, Path(scratch), _aws(address)) as working,
                _program("devices", people, Path(scratch)) as publishing,
            ):
                console.print(
                    f"Kafka     {kafka.bootstrap_servers}\n"
                    f"endpoint  streamer {' '.join(endpoint)}\n"
                    f"worker    AWS_ENDPOINT_URL={address} streamer {' '.join(worker)}\n"
                    f"devices   streamer {' '.join(people)}\n"
                    f"metrics   http://{settings.http_host}:{settings.http_port}/metrics\n"
                    f"logs      {scratch}\n"
                    "First labels after some 5 seconds; Ctrl-C ends everything.\n",
                    highlight=False,
                    soft_wrap=True,
                )
                with suppress(KeyboardInterrupt):
                    asyncio.run(_show(settings, console, [answering, working, publishing]))
                console.print("Stopping ...")


def _aws(address: str) -> dict[str, str]:
    """Return the environment that makes the AWS SDK call our endpoint and no other."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
    }


class _Program:
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
def _program(
    name: str,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[_Program]:
    program = _Program(name, arguments, folder, environment)
    try:
        yield program
    finally:
        program.process.communicate()


async def _show(settings: Settings, console: Console, programs: Sequence[_Program]) -> None:
    watching = asyncio.create_task(watch(settings, console, from_beginning=True))
    try:
        while not watching.done():
            for program in programs:
                program.check()
            await asyncio.wait({watching}, timeout=_POLL_S)
        await watching
    finally:
        watching.cancel()
