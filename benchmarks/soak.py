"""Runs two workers under half of their load for minutes, and kills one of them again and again.

    python benchmarks/soak.py [--minutes 10] [--samples-per-second 20000]

The memory of the other worker must be constant within 5% after the first minutes, and its counters
must balance whenever they are read.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from streamer.localkafka.broker import LocalKafka
from streamer.settings import TOPIC_SETTINGS, Settings
from tests.support.worker_process import assert_balanced, run, total, values_of, where

LOOK_S = 5.0
KILL_EVERY_S = 60.0
WARM_UP = 0.3
"""Share of the time in which devices appear and memory may grow."""
TOLERANCE = 0.05


@click.command()
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--samples-per-second", "rate", default=20_000, show_default=True)
def main(minutes: float, rate: int) -> None:
    """Print memory early and late; exit code 1 if it has grown."""
    with tempfile.TemporaryDirectory() as scratch, LocalKafka() as kafka:
        settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers})
        devices = ["simulate", *where(settings, *TOPIC_SETTINGS), "--devices", str(rate // 50)]
        command = [sys.executable, "-m", "streamer", *devices, "--batch", "10"]
        with run(settings, Path(scratch, "steady")) as steady:
            steady.until_it_says("assigned")
            publishing = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            try:
                memory = watch(settings, steady.process.pid, steady.get, minutes * 60, scratch)
            finally:
                publishing.terminate()
                publishing.wait()
            values = values_of(steady.get("/metrics")[1])
    warm = memory[round(len(memory) * WARM_UP) :]
    third = len(warm) // 3
    early, late = statistics.median(warm[:third]), statistics.median(warm[-third:])
    figures = {
        "benchmark": "soak",
        "minutes": minutes,
        "samples_per_second": rate,
        "early_mb": round(early / 1e6, 1),
        "late_mb": round(late / 1e6, 1),
        "growth": round(late / early - 1, 4),
        "events": total(values, "events_total"),
        "recoveries": total(values, "recoveries_total"),
    }
    click.echo(json.dumps(figures))
    if late > early * (1 + TOLERANCE):
        raise click.ClickException(f"memory has grown by more than {TOLERANCE:.0%}")


def watch(
    settings: Settings,
    pid: int,
    get: Callable[[str], tuple[int, str]],
    seconds: float,
    scratch: str,
) -> list[int]:
    """Memory of the steady worker every few seconds, while the other one is killed and started."""
    process, memory = psutil.Process(pid), []
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        with run(settings, Path(scratch, "killed"), "--session-timeout-s", "6"):
            killed_s = time.monotonic() + KILL_EVERY_S
            while time.monotonic() < min(killed_s, end_s):
                assert_balanced(values_of(get("/metrics")[1]))
                memory.append(process.memory_info().rss)
                time.sleep(LOOK_S)
    return memory


if __name__ == "__main__":
    main()
