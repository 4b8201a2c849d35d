"""The life cycle of Amazon ML with the unmodified SDK: data source, model, evaluation, endpoint."""

import errno
import gzip
import itertools
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from botocore.exceptions import ClientError

from streamer.prediction_server.amazon_ml.store import Entity, StateError, open_store
from tests.support.amazon_ml import AmazonML, schema, wait
from tests.support.s3_server import BUCKET

FLOWERS = schema(
    {"kind": "CATEGORICAL", "width": "NUMERIC", "length": "NUMERIC", "colour": "CATEGORICAL"},
    targetFieldName="kind",
)


def flowers(count: int = 300) -> list[str]:
    """Three kinds that width and colour tell apart; the length says nothing."""
    random = np.random.default_rng(3)
    lines = []
    for number in range(count):
        kind = number % 3
        width = random.normal(10 if kind == 0 else 20)
        colour = "red" if kind == 1 else "blue"
        lines.append(f"{'abc'[kind]},{width!r},{random.normal(5)!r},{colour}")
    return lines


def create_sources(client: Any, location: str, described: str = FLOWERS) -> None:
    for name, complement in (("train", False), ("test", True)):
        create_source(client, name, location, described, percentEnd=70, complement=complement)


def create_source(
    client: Any, name: str, location: str, described: str = FLOWERS, **splitting: Any
) -> None:
    rearrangement = {"splitting": {"percentBegin": 0, **splitting}}
    client.create_data_source_from_s3(
        DataSourceId=name,
        DataSpec={
            "DataLocationS3": location,
            "DataSchema": described,
            "DataRearrangement": msgspec.json.encode(rearrangement).decode(),
        },
        ComputeStatistics=True,
    )


def create_model(client: Any, kind: str = "MULTICLASS", **more: Any) -> dict[str, Any]:
    client.create_ml_model(
        MLModelId="model", MLModelType=kind, TrainingDataSourceId="train", **more
    )
    client.create_evaluation(
        EvaluationId="evaluation", MLModelId="model", EvaluationDataSourceId="test"
    )
    evaluation = wait(client.get_evaluation, EvaluationId="evaluation")
    assert evaluation["Status"] == "COMPLETED", evaluation
    properties: dict[str, Any] = evaluation["PerformanceMetrics"]["Properties"]
    return {name: float(value) for name, value in properties.items()}


async def test_a_model_is_trained_evaluated_mounted_and_asked(amazon_ml: AmazonML) -> None:
    location = amazon_ml.put("flowers.csv", flowers())

    def work(client: Any) -> None:
        create_sources(client, location)
        assert create_model(client)["MulticlassAvgFScore"] > 0.98
        model = client.get_ml_model(MLModelId="model", Verbose=True)
        assert model["TrainingParameters"]["sgd.maxPasses"] == "10"
        assert "normalize(ALL_NUMERIC)" in model["Recipe"]
        assert model["EndpointInfo"]["EndpointStatus"] == "NONE"
        record = {"width": "10", "colour": "blue"}  # the length is missing
        url = "http://127.0.0.1:1"
        with pytest.raises(ClientError, match="PredictorNotMountedException"):
            client.predict(
                MLModelId="model", Record=record, PredictEndpoint=client.meta.endpoint_url
            )
        created = client.create_realtime_endpoint(MLModelId="model")["RealtimeEndpointInfo"]
        assert created["EndpointStatus"] == "UPDATING"
        info = client.get_ml_model(MLModelId="model")["EndpointInfo"]
        assert info["EndpointStatus"] == "READY"
        url = info["EndpointUrl"]
        answer = client.predict(MLModelId="model", Record=record, PredictEndpoint=url)
        assert answer["Prediction"]["predictedLabel"] == "a"
        assert sum(answer["Prediction"]["predictedScores"].values()) == pytest.approx(1)
        with pytest.raises(ClientError, match="delete the endpoint first"):
            client.delete_ml_model(MLModelId="model")
        client.delete_realtime_endpoint(MLModelId="model")
        client.delete_ml_model(MLModelId="model")
        assert client.get_ml_model(MLModelId="model")["Status"] == "DELETED"

    await amazon_ml.do(work)


async def test_the_two_parts_of_a_split_share_no_record_and_miss_none(
    amazon_ml: AmazonML,
) -> None:
    written = [f"{number},a" for number in range(101)]
    location = amazon_ml.put("numbers.csv", written)
    described = schema({"n": "CATEGORICAL", "x": "CATEGORICAL"}, recordAnnotationFieldName="n")

    def work(client: Any) -> dict[str, int]:
        counts = {}
        for strategy, complement in itertools.product(("sequential", "random"), (False, True)):
            options = {"percentEnd": 70, "strategy": strategy, "complement": complement}
            name = f"{strategy}-{complement}"
            create_source(client, name, location, described, randomSeed="seed", **options)
            source = wait(client.get_data_source, DataSourceId=name)
            assert source["Status"] == "COMPLETED", source
            with urllib.request.urlopen(source["LogUri"]) as log:
                counts[name] = msgspec.json.decode(log.read())["records"]
        return counts

    counts = await amazon_ml.do(work)
    assert (counts["sequential-False"], counts["sequential-True"]) == (70, 31)
    assert counts["random-False"] + counts["random-True"] == 101
    assert 50 < counts["random-False"] < 90


async def test_binary_models_and_regressions_have_the_figures_of_their_kind(
    amazon_ml: AmazonML,
) -> None:
    random = np.random.default_rng(1)
    x = random.uniform(0, 10, 200)
    y = 3 * x + 2 + random.normal(0, 0.1, 200)
    types = {"y": "NUMERIC", "x": "NUMERIC"}
    numbers = amazon_ml.put("line.csv", [f"{b},{a}" for a, b in zip(x, y, strict=True)])
    answers = amazon_ml.put("yes.csv", [f"{'yes' if a > 5 else 'no'},{a}" for a in x])
    results = f"s3://{BUCKET}/out"

    def regress(client: Any) -> dict[str, Any]:
        create_sources(client, numbers, schema(types, targetFieldName="y"))
        figures = create_model(client, "REGRESSION", Parameters={"sgd.maxPasses": "20"})
        client.create_batch_prediction(
            BatchPredictionId="all",
            MLModelId="model",
            BatchPredictionDataSourceId="test",
            OutputUri=results,
        )
        assert wait(client.get_batch_prediction, BatchPredictionId="all")["Status"] == "COMPLETED"
        return figures

    def classify(client: Any) -> dict[str, Any]:
        create_sources(client, answers, schema(types | {"y": "BINARY"}, targetFieldName="y"))
        return create_model(client, "BINARY", Recipe='{"outputs":["quantile_bin(x, 10)"]}')

    assert (await amazon_ml.do(regress))["RegressionRMSE"] < 1
    [[header, *rows]] = amazon_ml.results(results, "all").values()
    assert header == ["trueLabel", "score"]
    assert len(rows) == 60
    assert all(abs(float(true) - float(score)) < 3 for true, score in rows)
    assert (await amazon_ml.do(classify))["BinaryAUC"] > 0.97


@pytest.mark.parametrize(
    ("lines", "described", "message"),
    [
        (["kind,width", "a,1"], FLOWERS, "no valid records; all 2 are invalid"),
        (["a,1,2,red"], schema({"kind": "CATEGORICAL"}), "4 fields, the schema has 1"),
        (["a,1,2,red"] * 3, FLOWERS, "have the kind 'a'; a model needs two classes"),
    ],
)
async def test_data_that_do_not_suit_fail_with_a_message(
    amazon_ml: AmazonML, lines: list[str], described: str, message: str
) -> None:
    location = amazon_ml.put("some.csv", lines)

    def work(client: Any) -> str:
        client.create_data_source_from_s3(
            DataSourceId="train",
            DataSpec={"DataLocationS3": location, "DataSchema": described},
            ComputeStatistics=True,
        )
        client.create_ml_model(
            MLModelId="model", MLModelType="MULTICLASS", TrainingDataSourceId="train"
        )
        model = wait(client.get_ml_model, MLModelId="model")
        assert model["Status"] == "FAILED"
        text: str = model["Message"]
        return text

    assert message in await amazon_ml.do(work)


async def test_a_data_source_with_more_than_10_000_invalid_records_fails(
    amazon_ml: AmazonML,
) -> None:
    valid, wrong = ["a,1,2,red"], ["a,x,2,red"]

    def create(client: Any, name: str, location: str) -> dict[str, Any]:
        client.create_data_source_from_s3(
            DataSourceId=name, DataSpec={"DataLocationS3": location, "DataSchema": FLOWERS}
        )
        return wait(client.get_data_source, DataSourceId=name)

    def work(client: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        few = amazon_ml.put("few.csv", valid + wrong * 10_000)
        many = amazon_ml.put("many.csv", valid + wrong * 10_001)
        return create(client, "few", few), create(client, "many", many)

    few, many = await amazon_ml.do(work)
    assert few["Status"] == "COMPLETED"
    assert many["Status"] == "FAILED"
    assert "more than 10000 records are invalid" in many["Message"]


@pytest.mark.parametrize(
    ("location", "message"),
    [
        (f"s3://{BUCKET}/nothing.csv", "does not exist"),
        ("s3://no-such-bucket/x.csv", "does not exist"),
        ("s3://no-such-bucket/folder/", "the bucket no-such-bucket does not exist"),
        (f"s3://{BUCKET}/cut.csv.gz", "damaged or cut off"),
    ],
)
async def test_objects_that_cannot_be_read_fail_the_data_source_with_their_address(
    amazon_ml: AmazonML, location: str, message: str
) -> None:
    amazon_ml.put("cut.csv.gz", gzip.compress("\n".join(flowers()).encode())[:-20])

    def work(client: Any) -> dict[str, Any]:
        client.create_data_source_from_s3(
            DataSourceId="x", DataSpec={"DataLocationS3": location, "DataSchema": FLOWERS}
        )
        return wait(client.get_data_source, DataSourceId="x")

    source = await amazon_ml.do(work)
    assert source["Status"] == "FAILED"
    assert message in source["Message"]


async def test_a_create_may_be_repeated_but_not_with_other_parameters(
    amazon_ml: AmazonML,
) -> None:
    location = amazon_ml.put("flowers.csv", flowers(9))

    def work(client: Any) -> None:
        create_sources(client, location)
        create_sources(client, location)
        with pytest.raises(ClientError, match="IdempotentParameterMismatchException"):
            create_sources(client, f"{location}2")

    await amazon_ml.do(work)


async def test_a_job_that_was_interrupted_is_done_again(
    amazon_ml: AmazonML, tmp_path: Path
) -> None:
    location = amazon_ml.put("flowers.csv", flowers())
    state = tmp_path / "state.sqlite"

    # The server ends as soon as it has answered; its jobs are PENDING or INPROGRESS then.
    def begin(client: Any) -> None:
        create_sources(client, location)
        client.create_ml_model(
            MLModelId="model",
            MLModelType="MULTICLASS",
            TrainingDataSourceId="train",
            Parameters={"sgd.maxPasses": "500"},
        )

    await amazon_ml.do(begin, state)

    def finish(client: Any) -> list[str]:
        client.delete_ml_model(MLModelId="model")
        client.create_ml_model(
            MLModelId="other", MLModelType="MULTICLASS", TrainingDataSourceId="train"
        )
        model = wait(client.get_ml_model, MLModelId="other")
        source = wait(client.get_data_source, DataSourceId="test")
        return [
            model["Status"],
            source["Status"],
            client.get_ml_model(MLModelId="model")["Status"],
        ]

    assert await amazon_ml.do(finish, state) == ["COMPLETED", "COMPLETED", "DELETED"]


async def test_a_full_disk_fails_the_job_with_a_message(
    amazon_ml: AmazonML, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = amazon_ml.put("flowers.csv", flowers(30))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def work(client: Any) -> str:
        create_source(client, "source", location)
        message: str = wait(client.get_data_source, DataSourceId="source")["Message"]
        return message

    monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)
    assert "the disk of the server is full" in await amazon_ml.do(work)


async def test_a_state_that_may_not_grow_keeps_what_it_has(tmp_path: Path) -> None:
    def make(name: str, text: str) -> Entity:
        return Entity("MLModel", name, {}, {"Status": "COMPLETED", "Name": text})

    async with open_store(tmp_path / "state.sqlite") as store:
        await store.add(make("first", "small"))
        await store._connection.execute("PRAGMA max_page_count = 8")
        with pytest.raises(StateError, match="full"):
            await store.add(make("second", "x" * 100_000))
        await store._connection.execute("PRAGMA max_page_count = 100000")
        await store.add(make("third", "small"))
        assert await store.list_ids("MLModel", 5) == ["third", "first"]


async def test_a_file_that_is_no_state_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("these are notes, not a database\n" * 100)
    with pytest.raises(StateError, match=r"notes\.txt cannot be opened"):
        async with open_store(file):
            pass
