"""A worker imports what it uses: each package costs its start, on a busy machine by seconds.

Modules are counted, not seconds.
"""

import os
import subprocess
import sys

import pytest

UNUSED = (
    *("aioboto3", "aiobotocore", "boto3", "botocore"),  # endpoints and S3
    *("jinja2", "matplotlib", "sklearn", "onnxruntime", "flask", "hypothesis"),
    *("scipy.linalg", "scipy.optimize", "scipy.signal", "scipy.special"),
    *(f"streamer.{room}" for room in ("datasets", "localkafka", "prediction_server", "publishing")),
    *("streamer.reports", "streamer.tools", "streamer.training"),
)
MOST_MODULES = 1262
"""255 of them are of numba and llvmlite."""

STARTED = """
import asyncio, sys
from streamer.cli import run
from streamer.metrics import Metrics
from streamer.predict.factory import open_predictor
from streamer.process.warm_up import warm_up
from streamer.settings import Settings

async def start():
    async with open_predictor(Settings(), Metrics(), print):
        warm_up()

asyncio.run(start())
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def modules() -> set[str]:
    """What a worker with the shipped model has imported when it begins to work."""
    finished = subprocess.run(
        [sys.executable, "-c", STARTED], env=os.environ, check=True, capture_output=True, text=True
    )
    # Lines before the last one are of the log, which says for example that kernels were compiled.
    return set(finished.stdout.splitlines()[-1].split())


def test_a_worker_imports_nothing_that_only_endpoints_reports_or_training_need(
    modules: set[str],
) -> None:
    assert {name for name in modules if name.startswith(UNUSED)} == set()


def test_a_worker_imports_no_more_modules_than_it_did(modules: set[str]) -> None:
    assert len(modules) <= MOST_MODULES, "import what is new where it is used, or raise the figure"
