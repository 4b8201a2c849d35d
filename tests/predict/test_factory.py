"""The predictor that the settings name, and what it costs to start."""

import subprocess
import sys

import numpy as np
import pytest

from streamer.testing import readings, run_script

OPEN = """
import asyncio, sys
from streamer.metrics import Metrics
from streamer.predict.factory import open_predictor
from streamer.process import worker
from streamer.settings import Settings

async def main():
    async with open_predictor(Settings.load({}), Metrics(), print):
        pass

asyncio.run(main())
print(*sys.modules)
"""


@pytest.mark.parametrize(
    "module", ["aioboto3", "aiobotocore", "botocore", "onnxruntime", "streamer.predict.hedge"]
)
def test_a_worker_that_predicts_in_its_process_does_not_import(
    module: str, imported: set[str]
) -> None:
    assert module not in imported


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Modules of a process that has opened the default predictor."""
    ran = subprocess.run([sys.executable, "-c", OPEN], capture_output=True, text=True, check=True)
    assert "streamer.predict.local_predictor" in ran.stdout
    return set(ran.stdout.split())


async def test_predictions_in_the_process_do_not_count_as_answers_of_an_endpoint() -> None:
    samples = np.random.default_rng(0).normal((1, 0, 0, 0, 0, 0), 1, (500, 6))
    published = await run_script(readings("phone", samples))
    assert published.events
    value = published.metrics.registry.get_sample_value
    assert value("streamer_answers_total", {"outcome": "local"}) == len(published.events)
    assert not value("streamer_answers_total", {"outcome": "endpoint"})
