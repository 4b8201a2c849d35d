"""Worker processes that are started, killed and stopped, and what their logs tell."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from streamer.process.summary import NO_EVENTS
from streamer.settings import Settings
from tests.support.processes import PATIENCE_S, until

ENDED_WELL = {0, NO_EVENTS}
"""Exit codes of a worker that has ended in order; it may have read records that gave no event."""


class Fleet:
    """Workers of one group."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._folder = folder
        self._flags = [
            *("--bootstrap-servers", settings.bootstrap_servers),
            *("--readings-topic", settings.readings_topic),
            *("--events-topic", settings.events_topic),
            *("--segments-topic", settings.segments_topic),
            *("--current-topic", settings.current_topic),
            *("--dlq-topic", settings.dlq_topic),
            *("--group-id", settings.group_id),
            *("--allowed-lateness-ms", str(settings.allowed_lateness_ms)),
            *("--delivery", settings.delivery),
            *("--commit-interval-ms", str(settings.commit_interval_ms)),
            *("--max-reject-share", "1", "--session-timeout-s", "6", "--http-port", "0"),
        ]
        if not settings.smoothing:
            self._flags.append("--no-smoothing")
        if settings.store_features is not None:
            self._flags += ["--store-features", settings.store_features]
            self._flags += ["--store-interval-s", str(settings.store_interval_s)]
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.kills = 0
        self._begin: dict[str, int] = {}
        self._doomed: set[str] = set()

    def start(
        self,
        name: str,
        *flags: str,
        doom: tuple[str, int] | None = None,
        blow: signal.Signals = signal.SIGKILL,
        code: Path | None = None,
    ) -> None:
        """Start a worker; doomed ones are struck when they get to a point for the n-th time.

        The worker runs the package in the folder ``code``, which may be of an earlier version.
        """
        program = ["streamer"]
        self._doomed.discard(name)
        if doom:
            self._doomed.add(name)
            program = ["tests.support.doomed", doom[0], str(doom[1]), blow.name]
        command = [sys.executable, "-m", *program, "run", *self._flags, *flags]
        with self.log(name).open("ab") as log:
            self._begin[name] = log.tell()
            environment = os.environ | ({"PYTHONPATH": str(code)} if code else {})
            self.running[name] = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, cwd=code
            )

    def kill(self, name: str) -> None:
        """SIGKILL."""
        worker = self.running.pop(name)
        if worker.poll() is None:
            self.kills += 1
        worker.kill()
        worker.wait()

    def stop(self, *names: str) -> None:
        """SIGTERM; all of them must end well, but a doomed one may be struck before it ends."""
        for name in names:
            # Before that there is nothing to end well.
            until(partial(self._is_working_or_dead, name))
            self.running[name].send_signal(signal.SIGTERM)
        for name in names:
            code = self.wait(name)
            struck = name in self._doomed and code == -signal.SIGKILL
            assert struck or code in ENDED_WELL, f"exit code {code}: {self.text(name)}"

    def wait(self, name: str) -> int:
        """Wait for the end of a worker; its exit code, negative if it was killed."""
        code = self.running[name].wait(PATIENCE_S)
        del self.running[name]
        self.kills += code == -signal.SIGKILL
        return code

    def run_to_end(self, *flags: str) -> None:
        """A worker that takes in what there is and ends."""
        self.start("last", "--until-end", *flags)
        assert self.wait("last") in ENDED_WELL, self.text("last")

    def log(self, name: str) -> Path:
        """The file to which a worker writes."""
        return self._folder / f"{name}.log"

    def says(self, name: str, words: str, times: int = 1) -> None:
        """Wait until a worker has logged something, so many times."""
        worker = self.running[name]
        until(lambda: self.text(name).count(words) >= times or worker.poll() is not None)
        assert self.text(name).count(words) >= times, self.text(name)

    def text(self, name: str) -> str:
        """What a worker has logged."""
        return self.log(name).read_text(encoding="utf-8", errors="replace")

    def _is_working_or_dead(self, name: str) -> bool:
        is_working = b"working" in self.log(name).read_bytes()[self._begin[name] :]
        return is_working or self.running[name].poll() is not None

    def count(self, words: str) -> int:
        """How often all workers together have logged something."""
        return sum(path.read_text(errors="replace").count(words) for path in self._logs())

    def _logs(self) -> Iterator[Path]:
        yield from self._folder.glob("*.log")


@contextmanager
def fleet(settings: Settings, folder: Path) -> Iterator[Fleet]:
    """A fleet of which nobody is left in the end."""
    workers = Fleet(settings, folder)
    try:
        yield workers
    finally:
        for name in list(workers.running):
            workers.kill(name)
