"""What a sample costs from record to features must not grow unnoticed.

valgrind's callgrind counts the instructions: the same to a thousandth on any x86-64 machine,
whatever else it does, as NumPy finds the same processor in it everywhere and numba is told to
compile for that one.

To renew the figures after a change that is worth its cost, run

    python -m tests.test_cost

and write down what it prints.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support import hot_path

COSTS = {"decode": 1290, "windows": 2460, "features": 4690}
"""Instructions a sample, one of them a record.

A fifth of those of `windows` are for the beginning of a device: its ring grows with what it sends,
and its first hop is held until its rate is known."""

WORSE = 1.1

PROCESSOR = {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""}
"""The best one that valgrind has."""

HOT_PATH = [sys.executable, "-m", "tests.support.hot_path"]


def costs(folder: Path) -> dict[str, float]:
    """What each stage costs, in instructions a sample."""
    environment = os.environ | PROCESSOR | {"PYTHONHASHSEED": "0"}
    subprocess.run(HOT_PATH, env=environment, check=True)
    callgrind = [
        *("valgrind", "--tool=callgrind", "--instr-atstart=no"),
        f"--callgrind-out-file={folder / 'counted'}",
    ]
    subprocess.run(
        [*callgrind, *HOT_PATH, "--count"], env=environment, check=True, stderr=subprocess.DEVNULL
    )
    found: dict[str, float] = {}
    for dump in folder.glob("counted.*"):
        text = dump.read_text()
        [stage] = re.findall(r"^desc: Trigger: dump (\w+)$", text, re.MULTILINE)
        [total] = re.findall(r"^totals: (\d+)$", text, re.MULTILINE)
        found[stage] = int(total) / hot_path.SAMPLES
    return found


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the costs are those of x86-64")
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not on the PATH")
@pytest.mark.timeout(900)  # valgrind is slow, and kernels for its processor are compiled before
def test_no_stage_costs_a_tenth_more_than_it_did(tmp_path: Path) -> None:
    found = costs(tmp_path)

    assert found.keys() == COSTS.keys()
    worse = {stage: cost for stage, cost in found.items() if cost > COSTS[stage] * WORSE}
    assert not worse, (
        f"these stages cost more than {COSTS} instructions a sample: make them faster again, or "
        "write down what they cost now, as the head of this file says"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print({stage: round(cost) for stage, cost in costs(Path(scratch)).items()})
