"""A server that is killed at any moment does its jobs when it is started again."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.config import Config

from tests.support.amazon_ml import PATIENCE_S, AmazonML, schema, wait
from tests.support.s3_server import BUCKET

pytestmark = pytest.mark.slow

SCHEMA = schema(
    {"kind": "CATEGORICAL", **{f"x{i}": "NUMERIC" for i in range(20)}}, targetFieldName="kind"
)


@contextmanager
def running(state: Path) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """Start the server in a process of its own; it is killed at the end."""
    command = [sys.executable, "-m", "streamer", "endpoint", "--port", "0", "--log-format", "json"]
    with subprocess.Popen(
        [*command, "--state", str(state)],
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if "serving predictions" in line)
            address = line.partition('"address":')[2].split('"')[1]
            with urllib.request.urlopen(f"{address}/ping"):
                pass
            options = Config(retries={"total_max_attempts": 1})
            yield process, boto3.client("machinelearning", endpoint_url=address, config=options)
        finally:
            process.send_signal(signal.SIGKILL)


def test_the_results_after_kills_are_those_of_a_server_that_was_not_killed(
    amazon_ml: AmazonML, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(3000, 20)).round(3)
    lines = [f"{'abc'[i % 3]},{','.join(map(str, row))}" for i, row in enumerate(rows.tolist())]
    location = amazon_ml.put("data.csv", lines)

    def create(client: Any, output: str) -> None:
        client.create_data_source_from_s3(
            DataSourceId="data",
            DataSpec={"DataLocationS3": location, "DataSchema": SCHEMA},
            ComputeStatistics=True,
        )
        client.create_ml_model(
            MLModelId="model", MLModelType="MULTICLASS", TrainingDataSourceId="data"
        )
        client.create_batch_prediction(
            BatchPredictionId="batch",
            MLModelId="model",
            BatchPredictionDataSourceId="data",
            OutputUri=f"s3://{BUCKET}/{output}",
        )

    def finish(client: Any) -> None:
        batch = wait(client.get_batch_prediction, BatchPredictionId="batch")
        assert batch["Status"] == "COMPLETED", batch

    with running(tmp_path / "calm.sqlite") as (_, client):
        create(client, "calm")
        finish(client)
    killed = 0
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with running(tmp_path / "killed.sqlite") as (process, client):
            create(client, "killed")
            time.sleep(float(random.uniform(0, 0.5)))  # when it is killed does not matter
            batch = client.get_batch_prediction(BatchPredictionId="batch")
            if killed and (batch["Status"] == "COMPLETED" or killed >= 6):
                finish(client)
                break
        process.wait()
        killed += 1

    results = amazon_ml.results(f"s3://{BUCKET}/killed", "batch")
    assert results == amazon_ml.results(f"s3://{BUCKET}/calm", "batch")
