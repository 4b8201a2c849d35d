"""What a sample costs from record to features must not grow unnoticed.

Not seconds, which every machine has its own of, but the ratio to a fixed workload of a similar
nature in the same run: sorting, transforms and small array steps. Both take turns, and the least
processor time of each counts, so what else the machine does hardly matters.

To renew the baselines after a change that is worth its cost: run

    python -m tests.test_cost

a few times on an idle machine, with numba installed and without, and write down the middle of what
it prints.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from streamer.compiled import IS_COMPILED
from streamer.contracts.decode import decode
from streamer.contracts.records import Records
from streamer.features import UCI_HAR, extract, scale
from streamer.settings import Settings
from streamer.stream.batch import Batch
from streamer.stream.partition import PartitionWindows
from streamer.testing import readings

BASELINE = (
    {"decode": 1.2, "windows": 1.9, "features": 1.75}
    if IS_COMPILED
    else {"decode": 3.05, "windows": 3.7, "features": 8.0}
)
"""Cost of each stage, in units of the fixed workload."""

WORSE = 1.25
TURNS = 24
DEVICES, SECONDS, FETCHES = 40, 16, 4


def fetches() -> list[Records]:
    """The records of some people, all there all the time, in a few fetches."""
    samples = np.random.default_rng(1).normal(size=(DEVICES, SECONDS * 50, 6)).round(5)
    logs = [readings(f"phone-{i}", samples[i]) for i in range(DEVICES)]
    in_turn = [record for together in zip(*logs, strict=True) for record in together]
    size = len(in_turn) // FETCHES
    return [Records.of(in_turn[i : i + size]) for i in range(0, len(in_turn), size)]


def hot_path(log: list[Records], took_s: dict[str, float]) -> None:
    """Decode, window, filter and extract; adds up the processor time of each stage."""
    windows = PartitionWindows(Settings().rules, UCI_HAR)
    closed = 0
    for records in log:
        with timed("decode", took_s):
            decoded = decode(records, 1_000_000)
        batch = Batch.of(
            decoded.device_ids,
            decoded.device,
            decoded.time_us,
            decoded.values,
            decoded.record,
            records.offset,
            records.timestamp * 1000,
            windows.clock_us,
        )
        with timed("windows", took_s):
            parts = windows.push(batch).windows
        with timed("features", took_s):
            closed += sum(len(scale(extract(part.signals))) for part in parts)
    assert closed >= DEVICES * 9


def fixed_workload(rows: npt.NDArray[np.float64], text: str) -> None:
    """Work for the same parts of a processor, which no change of ours can make slower."""
    for _ in range(40):
        np.sort(rows, axis=-1)
        np.fft.rfft(rows)
        deviations = rows - rows.mean(axis=-1, keepdims=True)
        np.sqrt(np.square(deviations).sum(axis=-1))
    json.loads(text)


@contextmanager
def timed(stage: str, took_s: dict[str, float]) -> Iterator[None]:
    """Add the processor time of the block."""
    begin_s = time.process_time()
    yield
    took_s[stage] = took_s.get(stage, 0) + time.process_time() - begin_s


def costs() -> dict[str, float]:
    """The processor time of each stage in units of the fixed workload's."""
    log = fetches()
    rows = np.random.default_rng(1).normal(size=(8 * 19, 128))
    text = json.dumps(rows.round(5).tolist())
    turns: list[dict[str, float]] = []
    for _ in range(TURNS):
        took_s: dict[str, float] = {}
        hot_path(log, took_s)
        with timed("unit", took_s):
            fixed_workload(rows, text)
        turns.append(took_s)
    # The first turn compiles, imports and allocates.
    least_s = {stage: min(took_s[stage] for took_s in turns[1:]) for stage in turns[0]}
    return {stage: least_s[stage] / least_s["unit"] for stage in BASELINE}


def test_no_stage_costs_a_quarter_more_than_it_did() -> None:
    found = costs()
    worse = {stage: cost for stage, cost in found.items() if cost > BASELINE[stage] * WORSE}
    assert not worse, (
        f"these stages cost more than {BASELINE}: make them faster again, or write down what they "
        "cost now, as the head of this file says"
    )


if __name__ == "__main__":
    print({stage: round(cost, 2) for stage, cost in costs().items()}, IS_COMPILED)
