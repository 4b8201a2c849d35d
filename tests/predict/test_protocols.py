"""The unmodified AWS SDK against our own server, and our clients through it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from streamer.arrays import Floats
from streamer.datasets.feature_table import VARIABLES
from streamer.errors import EndpointError, ModelError, SettingsError
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.predict import sagemaker_formats
from streamer.predict.amazon_ml_client import open_amazon_ml
from streamer.predict.answers import Answers
from streamer.predict.endpoint_protocol import (
    InvalidAnswerError,
    RetryableError,
    ThrottledError,
)
from streamer.predict.factory import open_predictor
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.sagemaker_client import open_sagemaker
from streamer.prediction_server.served_model import find_mounted_model, keep_activities
from streamer.settings import Settings
from tests.support.endpoint import Serve, set_faults

EXAMPLE = Path(__file__).parents[2] / "examples" / "you_are_walking.py"
LABELS = Settings().activities


def sdk(service: str) -> Any:
    return boto3.client(service, config=Config(retries={"total_max_attempts": 1}))


def record(row: Floats) -> dict[str, str]:
    return dict(zip(VARIABLES, map(str, row.tolist()), strict=True))


async def local(features: Floats) -> Floats:
    return (await LocalPredictor(artifact.load(artifact.WAIST_MODEL)).predict(features)).scores


async def plain(features: Floats) -> Floats:
    """Of the activities only, as Amazon ML shows them."""
    prediction = await LocalPredictor(artifact.load(artifact.WAIST_MODEL)).predict(features)
    return keep_activities(prediction, {}).scores


async def test_a_boto3_script_for_amazon_ml_works_with_another_endpoint_url(
    serve: Serve, features: Floats
) -> None:
    model = artifact.load(artifact.WAIST_MODEL)
    # A window that the model is sure about, in the published range: its rows are dynamic and static
    # against movements, then walking and upstairs against downstairs.
    dynamic, static, walking, upstairs = model.weights[:4]
    sign = np.sign(2 * dynamic - static + 2 * upstairs - walking)
    names = model.card.activities
    expected = names[int(np.argmax((await local(sign[None]))[0]))].replace("_", " ")
    async with serve():
        ran = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, str(EXAMPLE), "waist"],
            input=",".join(map(str, sign.tolist())) + "\n",
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.stdout == f"You are currently {expected}.\n", ran.stderr
    assert expected == "walking upstairs"


async def test_an_answer_has_the_fields_of_amazon_ml(serve: Serve, features: Floats) -> None:
    def ask() -> tuple[dict[str, Any], dict[str, Any]]:
        client = sdk("machinelearning")
        model = client.get_ml_model(MLModelId="waist")
        url = model["EndpointInfo"]["EndpointUrl"]
        [described] = client.describe_ml_models()["Results"]
        assert described["MLModelId"] == "waist"
        answer = client.predict(MLModelId="waist", Record=record(features[0]), PredictEndpoint=url)
        return model, answer["Prediction"]

    async with serve():
        model, prediction = await asyncio.to_thread(ask)
    assert (model["Status"], model["MLModelType"]) == ("COMPLETED", "MULTICLASS")
    assert model["EndpointInfo"]["EndpointStatus"] == "READY"
    assert prediction["details"] == {"PredictiveModelType": "MULTICLASS", "Algorithm": "SGD"}
    assert list(prediction["predictedScores"]) == list("123456")
    scores = prediction["predictedScores"]
    assert max(scores, key=scores.get) == prediction["predictedLabel"]
    assert list(scores.values()) == pytest.approx((await plain(features[:1]))[0].tolist())


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"MLModelId": "nobody"}, "ResourceNotFoundException", "there is 'waist'"),
        ({"Record": {"Var001": "1"}}, "InvalidInputException", "560 variables are missing"),
        ({"Record": {"Var003": "one"}}, "InvalidInputException", "Var003 is no number"),
        ({"Record": {"Var003": "nan"}}, "InvalidInputException", "Var003 is not a finite number"),
        ({"Record": {"more": "x" * 100_000}}, "InvalidInputException", "100 KB"),
    ],
)
async def test_the_server_refuses_the_requests_that_amazon_ml_refuses_with_its_message(
    serve: Serve, features: Floats, change: dict[str, Any], code: str, message: str
) -> None:
    question: dict[str, Any] = {"MLModelId": "waist", "Record": record(features[0])}
    given_record = change.get("Record", {})
    if len(given_record) == 1 and "Var001" not in given_record:
        change = {"Record": question["Record"] | given_record}
    async with serve() as address:
        with pytest.raises(ClientError) as error:
            await asyncio.to_thread(
                lambda: sdk("machinelearning").predict(
                    **(question | change), PredictEndpoint=address
                )
            )
    assert error.value.response["Error"]["Code"] == code
    assert message in str(error.value)


@pytest.mark.parametrize("predictor", ["amazon-ml", "sagemaker"])
@pytest.mark.parametrize("form", ["csv", "jsonlines", "npy"])
async def test_through_the_network_a_window_has_the_scores_it_has_in_the_process(
    serve: Serve, features: Floats, predictor: str, form: str
) -> None:
    settings = Settings.load(
        {"predictor": predictor, "endpoint": "waist", "endpoint_format": form, "batch_wait_ms": 1}
    )
    asked = features[:20] if predictor == "amazon-ml" else features
    async with serve(), open_predictor(settings, Metrics(), print) as ask:
        answers = await ask(asked)
    assert not answers.refused
    assert not answers.unavailable
    expected = await (plain if predictor == "amazon-ml" else local)(asked)
    assert (scores_of(answers) == expected).all()
    models = {scored.prediction.model.id for scored in answers.scored}
    assert models == {"waist"}
    assert {scored.predictor for scored in answers.scored} == {predictor}


def scores_of(answers: Answers) -> Floats:
    classes = len(answers.scored[0].prediction.model.labels)
    scores = np.full((answers.count, classes), np.nan)
    for scored in answers.scored:
        scores[scored.rows] = scored.prediction.scores
    return scores


async def test_a_poison_window_is_refused_with_the_endpoints_words(
    serve: Serve, features: Floats
) -> None:
    settings = Settings.load({"predictor": "sagemaker", "endpoint": "waist"})
    poisoned = features[:40].copy()
    poisoned[17, 3] = np.nan
    settings = settings.model_copy(update={"endpoint_format": "npy"})
    async with serve(), open_predictor(settings, Metrics(), print) as ask:
        answers = await ask(poisoned)
    assert list(answers.refused) == [17]
    assert "Var004 is not a finite number" in answers.refused[17]
    others = [row for row in range(40) if row != 17]
    assert (scores_of(answers)[others] == (await local(features[:40]))[others]).all()


@pytest.mark.parametrize(
    "fault", ["error=500", "error=503", "error=530", "hang", "half-open", "down"]
)
@pytest.mark.parametrize("predictor", ["amazon-ml", "sagemaker"])
async def test_every_failure_is_retryable(
    serve: Serve, features: Floats, predictor: str, fault: str
) -> None:
    async with serve() as address:
        with pytest.raises((RetryableError, TimeoutError)):
            async with asyncio.timeout(1):
                await _once(address, predictor, features[:1], fault)


@pytest.mark.parametrize("predictor", ["amazon-ml", "sagemaker"])
async def test_a_throttle_is_recognized(serve: Serve, features: Floats, predictor: str) -> None:
    async with serve() as address:
        with pytest.raises(ThrottledError):
            await _once(address, predictor, features[:1], "throttle=0/s")


@pytest.mark.parametrize("predictor", ["amazon-ml", "sagemaker"])
async def test_an_answer_that_does_not_fit_is_an_error(
    serve: Serve, features: Floats, predictor: str
) -> None:
    rows = features[: 1 if predictor == "amazon-ml" else 5]
    async with serve() as address:
        for _ in range(12):
            with pytest.raises(InvalidAnswerError):
                await _once(address, predictor, rows, "wrong-answer")


async def _once(address: str, predictor: str, features: Floats, fault: str) -> None:
    """Find the endpoint while it is well, break it, call once."""
    opened = (
        open_amazon_ml("waist", "Var{:03d}", LABELS, 2, 1.0)
        if predictor == "amazon-ml"
        else open_sagemaker("waist", "npy", LABELS, 64, 2, 1.0)
    )
    async with opened as endpoint:
        await set_faults(address, fault)
        try:
            await endpoint.score(features)
        finally:
            await set_faults(address)


async def test_a_wrong_name_stops_the_worker_with_an_error(serve: Serve, features: Floats) -> None:
    async with serve():
        with pytest.raises(EndpointError, match="there is 'waist'"):
            async with open_amazon_ml("walk", "Var{:03d}", LABELS, 2, 1.0):
                pass
        async with open_sagemaker("walk", "npy", LABELS, 64, 2, 1.0) as endpoint:
            with pytest.raises(EndpointError, match="there is 'waist'"):
                await endpoint.score(features)


async def test_without_a_region_the_error_says_how_to_set_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="AWS_DEFAULT_REGION"):
        async with open_amazon_ml("waist", "Var{:03d}", LABELS, 2, 1.0):
            pass


async def test_a_container_answers_sagemakers_own_requests(serve: Serve, features: Floats) -> None:
    async with serve() as address, aiohttp.ClientSession() as session:
        async with session.get(f"{address}/ping") as answer:
            assert answer.status == 200
        body = sagemaker_formats.encode(features[:3], "csv")
        headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
        async with session.post(f"{address}/invocations", data=body, headers=headers) as answer:
            assert answer.content_type == "text/csv"
            lines = (await answer.text()).splitlines()
        assert [[float(cell) for cell in line.split(",")] for line in lines] == (
            await local(features[:3])
        ).tolist()
        for body, kind in ((b"1,2", "text/csv"), (b"x", "text/csv"), (b"", "image/png")):
            headers = {"Content-Type": kind}
            async with session.post(f"{address}/invocations", data=body, headers=headers) as answer:
                assert answer.status == 400
                assert (await answer.json())["error"]


def test_a_mounted_model_is_found_and_two_are_an_error(tmp_path: Path) -> None:
    assert find_mounted_model(tmp_path / "none") is None
    (tmp_path / "one.npz").touch()
    assert find_mounted_model(tmp_path) == tmp_path / "one.npz"
    (tmp_path / "two.onnx").touch()
    with pytest.raises(ModelError, match=r"one\.npz, two\.onnx"):
        find_mounted_model(tmp_path)
