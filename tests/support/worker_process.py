"""A worker, or another command of ours, in a process of its own; and what its metrics say."""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from streamer.settings import TOPIC_SETTINGS, Settings
from tests.support.processes import until


class Process:
    """A command of ours that runs, and what it has said."""

    def __init__(
        self, log: Path, *arguments: str, before: str = "", code: Path | None = None
    ) -> None:
        """Start it.

        Args:
            log: file to which it writes.
            arguments: of the command line.
            before: Python that runs first, in the same process.
            code: folder of the package, which may be of an earlier version; None for this one.
        """
        self._log = log
        program = f"{before}\nfrom streamer.cli import main\nmain()"
        command = [sys.executable, "-c", program, *arguments]
        environment = os.environ | ({"PYTHONPATH": str(code)} if code else {})
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, env=environment, cwd=code
            )

    @property
    def said(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def until_it_says(self, words: str) -> None:
        until(lambda: words in self.said or self.process.poll() is not None)
        assert words in self.said, self.said

    @property
    def url(self) -> str:
        self.until_it_says("/metrics")
        found = re.search(r"http://[\d.:]+", self.said)
        assert found
        return found[0]

    def get(self, page: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"{self.url}{page}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def until_ready(self) -> None:
        until(lambda: self.get("/readyz")[0] == 200)

    def ends(self, code: int, within_s: float = 60, *others: int) -> None:
        assert self.process.wait(within_s) in {code, *others}, self.said


@contextmanager
def run(settings: Settings, log: Path, *flags: str) -> Iterator[Process]:
    """A worker in a process of its own."""
    worker = Process(log, "run", *where(settings), "--http-port", "0", *flags)
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()


def where(settings: Settings, *names: str) -> list[str]:
    names = names or (*TOPIC_SETTINGS, "group_id")
    return [
        part
        for name in ("bootstrap_servers", *names)
        for part in (f"--{name.replace('_', '-')}", getattr(settings, name))
    ]


def simulate(settings: Settings, *flags: str) -> str:
    command = [
        sys.executable,
        "-m",
        "streamer",
        "simulate",
        *where(settings, *TOPIC_SETTINGS),
        *flags,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def values_of(page: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Metrics by name and label values."""
    values: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = tuple(sample.labels.values())
            values.setdefault(sample.name.removeprefix("streamer_"), {})[labels] = sample.value
    return values


def total(values: dict[str, dict[tuple[str, ...], float]], name: str) -> float:
    return sum(values.get(name, {}).values())


def assert_balanced(values: dict[str, dict[tuple[str, ...], float]]) -> None:
    received = total(values, "samples_received_total")
    assert received == total(values, "samples_total") + total(values, "samples_waiting")
    opened = total(values, "windows_opened_total")
    assert opened == total(values, "windows_total") + total(values, "windows_open")
