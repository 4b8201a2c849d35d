"""`streamer amazon-ml` and the scripts in `examples`, with our server and a real S3."""

import asyncio
import io
import runpy
import sys
from pathlib import Path
from typing import Any

import botocore.client
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from streamer.cli import main
from streamer.datasets.conversion import convert
from streamer.datasets.feature_table import FeatureTable
from streamer.prediction_server.amazon_ml.protocol import check_question
from tests.support.amazon_ml import AmazonML, client
from tests.support.s3_server import BUCKET

EXAMPLES = Path(__file__).parents[2] / "examples"
BUCKET_URL = f"s3://{BUCKET}/models"


def make_table(people: int = 5, labels: str = "123456") -> FeatureTable:
    """Six activities that six features tell apart, 30 records a person."""
    random = np.random.default_rng(5)
    count = 30 * people
    chosen = [labels[i % len(labels)] for i in range(count)]
    features = np.zeros((count, 561))
    features[:, 1:7] = random.uniform(-0.2, 0.2, (count, 6))
    for i, label in enumerate(chosen):
        features[i, int(label)] += 0.7
    return FeatureTable(features, chosen, np.arange(count) // 30 + 1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    convert(make_table(), tmp_path, with_subject=True)
    return tmp_path


async def call(*arguments: str) -> Result:
    runner = CliRunner()
    return await asyncio.to_thread(lambda: runner.invoke(main, ["amazon-ml", *arguments]))


# records   |------ first 70%: 1 to 5 ------|-- last 30%: 6 too --|
async def test_a_class_without_records_to_learn_from_is_named(
    amazon_ml: AmazonML, tmp_path: Path
) -> None:
    table = make_table(10, "12345")
    late = make_table(10, "123456")
    cut = 7 * len(table.labels) // 10
    labels = [*table.labels[:cut], *late.labels[cut:]]
    features = np.concatenate([table.features[:cut], late.features[cut:]])
    convert(FeatureTable(features, labels, table.subjects), tmp_path)
    for file in ("data.csv", "data.csv.schema"):
        amazon_ml.put(file, (tmp_path / file).read_bytes())
    async with amazon_ml.running():
        result = await call("create", "walk", "--data", f"s3://{BUCKET}/data.csv")
        assert result.exit_code == 0, result.output
        result = await call("evaluate", "walk")
        assert "the training data have no record of 6, so the model never answers it" in (
            result.output
        )


async def test_a_life_from_recordings_to_predictions(
    amazon_ml: AmazonML, source: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.html"
    created = ("create", "walk", "--source", str(source), "--bucket", BUCKET_URL)
    async with amazon_ml.running():
        # A repeated command finds its steps done.
        for _ in range(2):
            result = await call(*created)
            assert result.exit_code == 0, result.output
        result = await call("promote", "walk", "--at-least", "0.9")
        assert "was not evaluated" in result.output
        result = await call("evaluate", "walk", "--json", "--report", str(page))
        assert result.exit_code == 0, result.output
        figures = msgspec.json.decode(result.stdout)
        assert figures["MulticlassAvgFScore"] > 0.95
        assert figures["macro_f1"] == pytest.approx(figures["MulticlassAvgFScore"], abs=1e-6)
        assert figures["windows"] == 60  # two of five people
        assert set(figures["confusion"]) >= {"walking", "laying"}
        assert "Evaluation of walk" in page.read_text()
        result = await call("promote", "walk", "--at-least", "0.9")
        assert "--predictor amazon-ml --endpoint walk" in result.output
        [data] = [key for key in amazon_ml.s3.objects() if key.endswith("evaluation.csv")]
        folder = f"s3://{BUCKET}/{data.rpartition('/')[0]}"
        data, schema = f"{folder}/evaluation.csv", f"{folder}/data.schema"
        files = ("--data", data, "--schema", schema, "--output", f"s3://{BUCKET}/out")
        result = await call("predict-batch", "walk", *files)
        assert "60 records" in result.output, result.output
        result = await call("list", "--json")
        models = [msgspec.json.decode(line) for line in result.output.splitlines()]
        assert [(each["model"], each["endpoint"]) for each in models] == [
            ("waist", "READY"),
            ("walk", "READY"),
        ]
        # Results that are cut off are no results.
        [key] = [key for key in amazon_ml.s3.objects() if key.startswith("out/") and "csv" in key]
        amazon_ml.put(key, amazon_ml.s3.objects()[key][:-30])
        result = await call("predict-batch", "walk", *files)
        assert "damaged or cut off" in result.output
        result = await call("delete", "walk")
        assert "real-time endpoint of walk" in result.output
        assert "there is nothing of walk" in (await call("delete", "walk")).output
        left = await asyncio.to_thread(lambda: client().describe_data_sources()["Results"])
        assert left == []


@pytest.mark.parametrize(
    ("table", "bucket", "complaint"),
    [
        (make_table(people=1), BUCKET_URL, "all records are of person 1"),
        (make_table(2), "s3://no-such-bucket/x", "NoSuchBucket"),
    ],
)
async def test_data_that_cannot_be_used_create_nothing(
    amazon_ml: AmazonML, tmp_path: Path, table: FeatureTable, bucket: str, complaint: str
) -> None:
    convert(table, tmp_path, with_subject=True)
    async with amazon_ml.running():
        result = await call("create", "m", "--source", str(tmp_path), "--bucket", bucket)
        left = await asyncio.to_thread(lambda: client().describe_data_sources()["Results"])
    assert complaint in result.output
    assert result.exit_code == 1
    assert left == []


async def test_a_step_that_fails_leaves_nothing_behind(amazon_ml: AmazonML, source: Path) -> None:
    lines = (source / "data.csv").read_text().splitlines()
    data = amazon_ml.put("data.csv", [lines[0].replace("Var002", "Var2"), *lines[1:]])
    amazon_ml.put("data.csv.schema", (source / "data.csv.schema").read_bytes())
    async with amazon_ml.running():
        result = await call("create", "m", "--data", data)
        left = await asyncio.to_thread(lambda: client().describe_data_sources()["Results"])
    assert "column 'Var2' where the schema has 'Var002'" in result.output
    assert left == []


async def test_the_examples_train_and_ask_a_model_with_calls_of_the_service_model(
    amazon_ml: AmazonML, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    called: list[str] = []
    call_service = botocore.client.BaseClient._make_api_call

    def check(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        called.append(operation)
        # The address of AWS' own endpoint would match the pattern that ours does not.
        aws = {"PredictEndpoint": "https://realtime.machinelearning.us-east-1.amazonaws.com"}
        check_question(operation, parameters | (aws if operation == "Predict" else {}))
        return call_service(self, operation, parameters)

    def run(example: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [example, *arguments])
        runpy.run_path(str(EXAMPLES / example))
        return str(capsys.readouterr().out)

    data = amazon_ml.put("data.csv", (source / "data.csv").read_bytes())
    amazon_ml.put("data.csv.schema", (source / "data.csv.schema").read_bytes())
    row = np.zeros(561)
    row[2] = 0.7
    monkeypatch.setattr(sys, "stdin", io.StringIO(",".join(map(str, row.tolist())) + "\n"))
    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", check)
    async with amazon_ml.running():
        printed = await asyncio.to_thread(run, "train_activity_model.py", data, "mine")
        assert "average F1: " in printed
        assert float(printed.split()[2]) > 0.95
        said = await asyncio.to_thread(run, "you_are_walking.py", "mine")
    assert said == "You are currently walking upstairs.\n"
    assert {"CreateDataSourceFromS3", "CreateEvaluation", "CreateMLModel", "Predict"} <= {*called}
