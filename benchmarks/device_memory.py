"""Measures the resident memory of live devices in the state of one partition.

    python benchmarks/device_memory.py [--devices 16000]

Prints a figure for devices at 50 Hz, whose samples are taken as they come, and for devices at
100 Hz, which are resampled.
"""

import gc
import sys
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import report
from streamer.features.window_shape import WINDOW
from streamer.process.memory import keep_freed_memory
from streamer.stream.partition import PartitionWindows
from streamer.stream.rules import Rules
from streamer.stream.samples import Samples

START_US = 1_763_906_400_000_000
SECONDS, A_RECORD, A_FETCH = 6, 25, 1_000
"""How long devices send, the samples of a record, and the records of a fetch."""


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def fetch(device_ids: list[str], first_us: int, step_us: int, offset: int) -> Samples:
    """Return the next record of each device."""
    records = len(device_ids)
    record = np.repeat(np.arange(records), A_RECORD)
    values = np.random.default_rng(offset).normal(size=(len(record), 6)) * 0.1 + (1, 0, 0, 0, 0, 0)
    times_us = np.tile(first_us + np.arange(A_RECORD) * step_us, records)
    stamps_us = np.full(records, first_us + A_RECORD * step_us)
    offsets = offset + np.arange(records)
    broker = np.ones(records, np.bool_)
    return Samples(device_ids, record, times_us, values, record, offsets, stamps_us, broker)


def fill(devices: int, rate_hz: int) -> PartitionWindows:
    """Return the state of a partition whose devices have sent for some seconds."""
    partition, step_us, offset = PartitionWindows(Rules(), WINDOW), 1_000_000 // rate_hz, 0
    device_ids = [f"device-{number}" for number in range(devices)]
    for turn in range(SECONDS * rate_hz // A_RECORD):
        for first in range(0, devices, A_FETCH):
            some = device_ids[first : first + A_FETCH]
            first_us = START_US + turn * A_RECORD * step_us
            partition.push(fetch(some, first_us, step_us, offset))
            offset += len(some)
    return partition


@click.command()
@click.option("--devices", default=16_000, show_default=True)
def main(devices: int) -> None:
    """Print kilobytes of resident memory for each live device."""
    keep_freed_memory()
    for rate_hz in (50, 100):
        fill(20, rate_hz)  # loads what is compiled
    figures, kept = [], []
    for rate_hz in (50, 100):
        gc.collect()
        before = resident_bytes()
        kept.append(fill(devices, rate_hz))
        kilobytes = (resident_bytes() - before) / devices / 1000
        figures.append(
            {"devices": devices, "rate_hz": rate_hz, "kilobytes_a_device": round(kilobytes, 1)}
        )
    report(figures)


if __name__ == "__main__":
    main()
