"""Implements the server side of the protocol of Amazon ML, as far as predictions need it.

Requests are `POST /` with the operation in a header, as in the service model `machinelearning` of
the AWS SDK. Signatures are not checked.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
from aiohttp import web

from streamer.arrays import Floats
from streamer.datasets.feature_table import VARIABLES
from streamer.endpoint.endpoint_faults import (
    EndpointFaults,
    InjectedAnswerError,
    InjectedError,
    QuotaExceededError,
)
from streamer.endpoint.served_model import BadInputError, ServedModel, keep_activities
from streamer.predict.quotas import AMAZON_ML_CALLS_PER_S, AMAZON_ML_RECORD_BYTES

CONTENT_TYPE = "application/x-amz-json-1.1"
TARGET = "AmazonML_20141212."


class AmazonMLError(Exception):
    """An error answer, with the name that the service gives the error."""

    def __init__(self, kind: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.kind, self.status = kind, status


class AmazonMLServer:
    """Answers GetMLModel, DescribeMLModels and Predict."""

    def __init__(self, served: ServedModel, faults: EndpointFaults) -> None:
        self._served = served
        self._faults = faults
        self._operations: dict[str, Callable[[web.Request, Any], Awaitable[Any]]] = {
            "GetMLModel": self._get_model,
            "DescribeMLModels": self._describe_models,
            "Predict": self._predict,
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        try:
            answer = await self._answer(request)
            status = 200
        except AmazonMLError as error:
            answer, status = {"__type": error.kind, "message": str(error)}, error.status
        except InjectedAnswerError as injected:
            return injected.answer
        return web.Response(
            body=msgspec.json.encode(answer), status=status, content_type=CONTENT_TYPE
        )

    async def _answer(self, request: web.Request) -> Any:
        operation = request.headers.get("X-Amz-Target", "").removeprefix(TARGET)
        if operation not in self._operations:
            raise AmazonMLError(
                "UnknownOperationException",
                f"no operation {operation!r}; there are {', '.join(self._operations)}",
            )
        try:
            question = msgspec.json.decode(await request.read())
        except msgspec.DecodeError as error:
            raise AmazonMLError("SerializationException", str(error)) from None
        if not isinstance(question, dict):
            raise AmazonMLError("SerializationException", "a JSON object is expected")
        return await self._operations[operation](request, question)

    async def _get_model(self, request: web.Request, question: dict[str, Any]) -> Any:
        self._check_model(question)
        description = self._describe(request)
        description["EndpointInfo"]["CreatedAt"] = description["CreatedAt"]
        return description

    async def _describe_models(self, request: web.Request, question: dict[str, Any]) -> Any:
        if "FilterVariable" in question:
            raise AmazonMLError("InvalidInputException", "FilterVariable is not supported here")
        return {"Results": [self._describe(request)]}

    async def _predict(self, request: web.Request, question: dict[str, Any]) -> Any:
        self._check_model(question)
        record = question.get("Record")
        if not isinstance(record, dict):
            raise AmazonMLError("InvalidInputException", "Record is missing")
        try:
            await self._faults.inject(request, AMAZON_ML_CALLS_PER_S)
            prediction = keep_activities(
                await self._served.score(_read_record(record)), self._served.labels
            )
        except QuotaExceededError:
            raise AmazonMLError(
                "LimitExceededException", "more predictions per second than the endpoint allows"
            ) from None
        except InjectedError as error:
            raise AmazonMLError("InternalServerException", str(error), error.status) from None
        except BadInputError as error:
            raise AmazonMLError("InvalidInputException", str(error)) from None
        prediction = self._faults.corrupt(prediction)
        [scores] = np.nan_to_num(prediction.scores, nan=-1).tolist()
        labels = prediction.model.labels
        return {
            "Prediction": {
                "predictedLabel": labels[int(np.argmax(scores))],
                "predictedScores": dict(zip(labels, scores, strict=True)),
                "details": {"Algorithm": "SGD", "PredictiveModelType": "MULTICLASS"},
            }
        }

    def _check_model(self, question: dict[str, Any]) -> None:
        if (wanted := question.get("MLModelId")) != self._served.id:
            raise AmazonMLError(
                "ResourceNotFoundException",
                f"no model {wanted!r} here; there is {self._served.id!r}",
            )

    def _describe(self, request: web.Request) -> dict[str, Any]:
        changed = self._served.changed.timestamp()
        return {
            "MLModelId": self._served.id,
            "Name": self._served.id,
            "Status": "COMPLETED",
            "MLModelType": "MULTICLASS",
            "SizeInBytes": self._served.bytes,
            "CreatedAt": changed,
            "LastUpdatedAt": changed,
            "EndpointInfo": {
                "EndpointStatus": "READY",
                "EndpointUrl": f"{request.scheme}://{request.host}",
                "PeakRequestsPerSecond": AMAZON_ML_CALLS_PER_S,
            },
        }


def _read_record(record: dict[str, Any]) -> Floats:
    """Return the features (1, 561) of a record."""
    size = sum(len(name) + len(str(value)) for name, value in record.items())
    if size > AMAZON_ML_RECORD_BYTES:
        raise AmazonMLError("InvalidInputException", "a record may have 100 KB")
    if missing := [name for name in VARIABLES if name not in record]:
        raise BadInputError(f"{len(missing)} variables are missing, such as {missing[0]}")
    values = []
    for name in VARIABLES:
        try:
            values.append(float(record[name]))
        except (TypeError, ValueError):
            raise BadInputError(f"{name} is no number: {record[name]!r:.40}") from None
    return np.array([values], np.float64)
