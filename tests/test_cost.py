"""What a sample costs from record to features must not grow unnoticed.

Costs are instructions where the machine counts them for us, which repeats to a thousandth whatever
else it does; elsewhere processor time, the least of many turns. Either way what counts is the ratio
to a fixed workload of a similar nature in the same run: sorting, transforms, small array steps.

To renew the baselines after a change that is worth its cost: run

    python -m tests.test_cost

with numba installed and without, and write down what it prints; for seconds a few times on an idle
machine, and the middle of it.
"""

import json
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
from tests.instructions import Unit, meter

BASELINES = {
    (Unit.INSTRUCTIONS, True): {"decode": 1.66, "windows": 1.64, "features": 2.06},
    (Unit.INSTRUCTIONS, False): {"decode": 3.0, "windows": 2.61, "features": 4.21},
    (Unit.SECONDS, True): {"decode": 1.2, "windows": 1.9, "features": 1.75},
    (Unit.SECONDS, False): {"decode": 3.05, "windows": 3.7, "features": 8.0},
}
"""Cost of each stage, in units of the fixed workload: counted how, and with numba or without."""

WORSE = 1.25
TURNS = {Unit.INSTRUCTIONS: 3, Unit.SECONDS: 24}
DEVICES, SECONDS, FETCHES = 40, 16, 4


def fetches() -> list[Records]:
    """The records of some people, all there all the time, in a few fetches."""
    samples = np.random.default_rng(1).normal(size=(DEVICES, SECONDS * 50, 6)).round(5)
    logs = [readings(f"phone-{i}", samples[i]) for i in range(DEVICES)]
    in_turn = [record for together in zip(*logs, strict=True) for record in together]
    size = len(in_turn) // FETCHES
    return [Records.of(in_turn[i : i + size]) for i in range(0, len(in_turn), size)]


def hot_path(log: list[Records], took: dict[str, float]) -> None:
    """Decode, window, filter and extract; adds up what each stage costs."""
    windows = PartitionWindows(Settings().rules, UCI_HAR)
    closed = 0
    for records in log:
        with counted("decode", took):
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
        with counted("windows", took):
            parts = windows.push(batch).windows
        with counted("features", took):
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
def counted(stage: str, took: dict[str, float]) -> Iterator[None]:
    """Add what the block costs."""
    _, count = meter()
    begin = count()
    yield
    took[stage] = took.get(stage, 0) + count() - begin


def costs() -> dict[str, float]:
    """What each stage costs, in units of the fixed workload."""
    log = fetches()
    rows = np.random.default_rng(1).normal(size=(8 * 19, 128))
    text = json.dumps(rows.round(5).tolist())
    turns: list[dict[str, float]] = []
    for _ in range(TURNS[meter()[0]]):
        took: dict[str, float] = {}
        hot_path(log, took)
        with counted("unit", took):
            fixed_workload(rows, text)
        turns.append(took)
    # The first turn compiles, imports and allocates.
    least = {stage: min(took[stage] for took in turns[1:]) for stage in turns[0]}
    return {stage: least[stage] / least["unit"] for stage in least if stage != "unit"}


def test_no_stage_costs_a_quarter_more_than_it_did() -> None:
    unit, _ = meter()
    baseline = BASELINES[unit, IS_COMPILED]
    worse = {stage: cost for stage, cost in costs().items() if cost > baseline[stage] * WORSE}
    assert not worse, (
        f"in {unit} these stages cost more than {baseline}: make them faster again, or write down "
        "what they cost now, as the head of this file says"
    )


if __name__ == "__main__":
    print(meter()[0], IS_COMPILED, {stage: round(cost, 2) for stage, cost in costs().items()})
