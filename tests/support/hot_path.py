"""The way from records to features, a stage at a time, for `test_cost` to have it counted.

python -m tests.support.hot_path [--count]
"""

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np

from streamer.contracts.decode import decode
from streamer.contracts.records import Records
from streamer.features import UCI_HAR, compute_features
from streamer.features.window_shape import WINDOW
from streamer.flow.partition_state import samples_of
from streamer.settings import Settings
from streamer.stream.partition import PartitionWindows
from streamer.testing import readings

DEVICES, SECONDS, FETCHES = 20, 12, 4
SAMPLES = DEVICES * SECONDS * 50
HOPS = SECONDS * 50 // 64

Around = Callable[[str], None]


def fetches() -> list[Records]:
    """The records of some people, all there all the time, in a few fetches."""
    samples = np.random.default_rng(1).normal(size=(DEVICES, SECONDS * 50, 6)).round(5)
    logs = [readings(f"phone-{i}", samples[i]) for i in range(DEVICES)]
    in_turn = [record for together in zip(*logs, strict=True) for record in together]
    size = len(in_turn) // FETCHES
    return [Records.of(in_turn[i : i + size]) for i in range(0, len(in_turn), size)]


def run(log: list[Records], begin: Around, end: Around) -> None:
    """Decode, window, filter and extract, each for the whole log."""
    windows = PartitionWindows(Settings().rules, WINDOW)
    begin("decode")
    batches = [samples_of(records, decode(records, 1_000_000)) for records in log]
    end("decode")
    begin("windows")
    closed = [part for each in batches for part in windows.push(each).windows]
    end("windows")
    begin("features")
    features = [compute_features(UCI_HAR, part.signals) for part in closed]
    end("features")
    assert sum(map(len, features)) >= DEVICES * (HOPS - 2)


def control(*options: str) -> None:
    """Tell the callgrind that runs us what to do."""
    command = ["callgrind_control", *options, str(os.getpid())]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def begin_counting(_: str) -> None:
    """Count from now on."""
    control("--instr=on")


def end_counting(stage: str) -> None:
    """Write down what was counted, and count no more."""
    control(f"--dump={stage}")
    control("--instr=off")


if __name__ == "__main__":
    log = fetches()
    # What is only done once is not what a sample costs: loading what was compiled, imports.
    run(log, lambda _: None, lambda _: None)
    if "--count" in sys.argv:
        run(log, begin_counting, end_counting)
