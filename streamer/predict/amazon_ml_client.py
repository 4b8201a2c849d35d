"""Calls Amazon Machine Learning: real-time predictions, one window per call."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np

from streamer.arrays import Floats
from streamer.errors import EndpointError
from streamer.model.identity import ModelIdentity
from streamer.predict import aws_client
from streamer.predict.endpoint_protocol import (
    CallError,
    InvalidAnswerError,
    RetryableError,
    check_prediction,
)
from streamer.predict.predictor import Prediction

NOT_MOUNTED = "PredictorNotMountedException"


class AmazonMLClient:
    """A real-time endpoint of Amazon ML."""

    name = "amazon-ml"
    most_windows = 1

    def __init__(
        self, client: Any, model_id: str, variable: str, activities: Mapping[str, str]
    ) -> None:
        self._client = client
        self._model_id = model_id
        self._variable = variable
        self._activities = activities
        self._url = ""
        self._card = ModelIdentity(model_id, "", tuple(activities), tuple(activities.values()))

    async def find(self) -> None:
        """Ask for the address of the endpoint and the version of the model.

        Raises:
            CallError: the call has failed.
            EndpointError: the model or its endpoint does not exist.
        """
        model = await find_model(self._client, self._model_id)
        endpoint = model.get("EndpointInfo") or {}
        status = endpoint.get("EndpointStatus", "NONE")
        if status == "UPDATING":
            raise RetryableError(f"the endpoint of the model {self._model_id} is being set up")
        if status != "READY":
            raise EndpointError(
                f"the model {self._model_id} has no real-time endpoint (status {status}); create "
                f"one: aws machinelearning create-realtime-endpoint --ml-model-id {self._model_id}"
            )
        self._url = endpoint["EndpointUrl"]
        self._card = ModelIdentity(
            self._model_id, identify_version(model), self._card.labels, self._card.activities
        )

    async def score(self, features: Floats) -> Prediction:
        """Predict the one window of ``features`` (1, features).

        Raises:
            CallError: the call has failed; the class of the error says whether to repeat it.
            EndpointError: no call can succeed before an operator corrects the set-up.
        """
        if not self._url:
            await self.find()
        [row] = features.tolist()
        record = {self._variable.format(i): repr(value) for i, value in enumerate(row, start=1)}
        try:
            answer = await self._client.predict(
                MLModelId=self._model_id, Record=record, PredictEndpoint=self._url
            )
        except Exception as error:
            if NOT_MOUNTED in str(error):
                self._url = ""
                raise RetryableError(str(error)) from error
            raise aws_client.classify_error(error) from error
        return self._read(answer)

    def _read(self, answer: Mapping[str, Any]) -> Prediction:
        try:
            scores = answer["Prediction"]["predictedScores"]
        except (KeyError, TypeError):
            raise InvalidAnswerError("an answer has no predictedScores") from None
        if scores.keys() != self._activities.keys():
            raise InvalidAnswerError(
                f"an answer has scores of the labels {', '.join(sorted(scores))[:200]}, expected "
                f"{', '.join(self._activities)}; the setting endpoint_labels names them"
            )
        values = [float(scores[label]) for label in self._card.labels]
        return check_prediction(np.array([values], np.float64), self._card, 1)


async def find_model(client: Any, model_id: str) -> Mapping[str, Any]:
    """Ask what Amazon ML knows of a model.

    Raises:
        CallError: the call has failed.
        EndpointError: there is no such model, or it does not have several classes.
    """
    try:
        model: Mapping[str, Any] = await client.get_ml_model(MLModelId=model_id)
    except Exception as error:
        raise aws_client.classify_error(error) from error
    if (kind := model.get("MLModelType", "MULTICLASS")) != "MULTICLASS":
        raise EndpointError(f"the model {model_id} is {kind}, not MULTICLASS")
    return model


def identify_version(model: Mapping[str, Any]) -> str:
    """Return the version of a model: when it was changed last; empty if that is not known."""
    changed = model.get("LastUpdatedAt") or model.get("CreatedAt")
    return changed.strftime("%Y-%m-%dT%H:%M:%SZ") if changed else ""


@asynccontextmanager
async def open_amazon_ml(
    model_id: str,
    variable: str,
    activities: Mapping[str, str],
    connections: int,
    timeout_s: float,
) -> AsyncIterator[AmazonMLClient]:
    """Open the endpoint of a model.

    Args:
        model_id: id of the model in Amazon ML.
        variable: format of the names of the features, with their number from 1.
        activities: activity of each label.
        connections: most calls at once.
        timeout_s: limit for each part of a call.

    Raises:
        EndpointError: the model or its endpoint does not exist.
        SettingsError: the SDK lacks a setting.
    """
    async with aws_client.open_client("machinelearning", connections, timeout_s) as client:
        endpoint = AmazonMLClient(client, model_id, variable, activities)
        # If it is down now, the calls find the endpoint later.
        with suppress(CallError, TimeoutError):
            async with asyncio.timeout(timeout_s):
                await endpoint.find()
        yield endpoint
