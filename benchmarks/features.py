"""Measures windows a second on one core: our features by batch size, and tsfel's.

    python benchmarks/features.py [--peers-python .venv-peers/bin/python] [--repeat 5]

tsfel is the usual library for features of such signals. With its defaults it computes some 1,400
numbers for the nine signals of a window. Batch sizes and tsfel take turns. Reported: medians and
the ratio to tsfel. Every batch size must give the same bits.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np

from streamer.arrays import Floats

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import Figure, report
from streamer.features import extract, scale
from streamer.process.memory import keep_freed_memory

SIZES = (1, 8, 64, 512)
SECONDS = 2.0
TSFEL = Path(__file__).parent / "peers" / "tsfel_windows.py"


@click.command()
@click.option("--peers-python", help="Python that has tsfel installed.")
@click.option("--repeat", default=5, show_default=True)
def main(peers_python: str | None, repeat: int) -> None:
    """Print a JSON line for each batch size, one for tsfel, and a table."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    keep_freed_memory()
    signals = np.random.default_rng(0).normal(size=(max(SIZES), 9, 129))
    whole = scale(extract(signals))
    for size in SIZES:
        assert np.concatenate(list(batches(signals, size))).tobytes() == whole.tobytes()
    ours: dict[int, list[float]] = {size: [] for size in SIZES}
    theirs: list[float] = []
    for _ in range(repeat):
        for size in SIZES:
            ours[size].append(windows_per_second(signals, size))
        if peers_python:
            ran = subprocess.run([peers_python, str(TSFEL)], capture_output=True, check=True)
            theirs.append(float(ran.stdout))
    tsfel = statistics.median(theirs) if theirs else None
    rates = {f"streamer, {size} at once": statistics.median(each) for size, each in ours.items()}
    if tsfel:
        rates["tsfel"] = tsfel
    report([figure(program, rate, tsfel) for program, rate in rates.items()])


def batches(signals: Floats, size: int) -> list[Floats]:
    return [scale(extract(signals[i : i + size])) for i in range(0, len(signals), size)]


def windows_per_second(signals: Floats, size: int) -> float:
    part = signals[:size]
    extract(part)
    done, begin_s = 0, time.perf_counter()
    while time.perf_counter() < begin_s + SECONDS:
        scale(extract(part))
        done += size
    return done / (time.perf_counter() - begin_s)


def figure(program: str, rate: float, tsfel: float | None) -> Figure:
    line: dict[str, object] = {"benchmark": "features", "program": program}
    line["windows_per_second"] = round(rate, 1)
    if tsfel:
        line["ratio"] = round(rate / tsfel)
    return line


if __name__ == "__main__":
    sys.exit(main())
