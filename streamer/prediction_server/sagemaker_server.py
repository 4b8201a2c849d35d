"""Implements the server side of the protocols of SageMaker.

Clients of its runtime send `POST /endpoints/NAME/invocations`. SageMaker itself sends `GET /ping`
and `POST /invocations` to a container. Signatures are not checked.
"""

from collections.abc import Callable
from io import BytesIO

import msgspec
import numpy as np
from aiohttp import web
from numpy.lib import format as npy

from streamer.arrays import Floats
from streamer.errors import UNDECODABLE
from streamer.predict.predictor import Prediction
from streamer.predict.sagemaker_formats import CSV, JSON, JSON_LINES, NPY, Scores
from streamer.prediction_server.endpoint_faults import (
    EndpointFaults,
    InjectedAnswerError,
    InjectedError,
    QuotaExceededError,
)
from streamer.prediction_server.served_model import BadInputError, ServedModel

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


class SageMakerServer:
    """Answers invocations, as the runtime or as a container does."""

    def __init__(self, served: ServedModel, faults: EndpointFaults) -> None:
        self._served = served
        self._faults = faults

    async def ping(self, _: web.Request) -> web.Response:
        """Answer the health check of SageMaker."""
        return web.Response(text="\n")

    async def invoke_container(self, request: web.Request) -> web.StreamResponse:
        """Answer SageMaker; its runtime translates the errors for clients."""
        try:
            return await self._invoke(request)
        except QuotaExceededError:
            return _failed(429, "more calls than this container accepts")
        except InjectedError as error:
            return _failed(error.status, str(error))
        except BadInputError as error:
            return _failed(400, str(error))
        except InjectedAnswerError as injected:
            return injected.answer

    async def invoke_endpoint(self, request: web.Request) -> web.StreamResponse:
        """Answer a client of the runtime."""
        name = request.match_info["name"]
        if name != self._served.id:
            message = f"Endpoint {name} not found; there is {self._served.id!r}"
            return _error(400, "ValidationError", message)
        try:
            answer = await self._invoke(request)
            answer.headers["x-Amzn-Invoked-Production-Variant"] = "AllTraffic"
        except QuotaExceededError:
            return _error(400, "ThrottlingException", "Rate exceeded")
        except InjectedError as error:
            kind = {500: "InternalFailure", 503: "ServiceUnavailable"}.get(error.status, "")
            return _error(error.status, kind or "InternalDependencyException", str(error))
        except BadInputError as error:
            return _error(424, "ModelError", str(error), OriginalStatusCode=400)
        except InjectedAnswerError as injected:
            return injected.answer
        return answer

    async def _invoke(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise BadInputError("the request has more than 6 MiB") from None
        await self._faults.inject(request, None)
        features = read_windows(body, request.content_type)
        prediction = self._faults.corrupt(await self._served.score(features))
        content_type, encode = _choose_encoder(request.headers.get("Accept", JSON))
        return web.Response(body=encode(prediction), content_type=content_type)


def read_windows(body: bytes, content_type: str) -> Floats:
    """Return the windows (n, features) of a request.

    Raises:
        BadInputError: the body has something else.
    """
    try:
        match content_type:
            case "application/x-npy":
                array = npy.read_array(BytesIO(body), allow_pickle=False)
                return np.asarray(array, np.float64)
            case "text/csv":
                return _read_csv(body)
            case "application/jsonlines":
                lines = _decoder.decode_lines(body)
                return np.array([line["features"] for line in lines], np.float64)
            case "application/json":
                return np.array(_decoder.decode(body), np.float64)
            case _:
                raise BadInputError(
                    f"no content type {content_type}; there are {CSV}, {JSON}, {JSON_LINES}, {NPY}"
                )
    except (ValueError, TypeError, KeyError, msgspec.DecodeError) as error:
        raise BadInputError(f"the body is not {content_type} with windows: {error}") from None


def _read_csv(body: bytes) -> Floats:
    lines = body.split()
    try:
        # Most CSV is JSON without brackets, and the JSON decoder is ten times as fast.
        rows = _decoder.decode(b"[[" + b"],[".join(lines) + b"]]")
    except UNDECODABLE:
        rows = [line.decode().split(",") for line in lines]
    return np.array(rows, np.float64)


def _choose_encoder(accept: str) -> tuple[str, Callable[[Prediction], bytes]]:
    """Return content type and encoder of the answer: JSON unless CSV or NPY is asked for."""
    writers = {CSV: _encode_csv, NPY: _encode_npy}
    wanted = accept.partition(";")[0].strip()
    return (wanted, writers[wanted]) if wanted in writers else (JSON, _encode_json)


def _encode_json(prediction: Prediction) -> bytes:
    card = prediction.model
    labels, activities = list(card.labels), list(card.activities)
    scores = prediction.scores.tolist()
    return _encoder.encode(Scores(card.id, card.version, labels, activities, scores))


def _encode_csv(prediction: Prediction) -> bytes:
    return "\n".join(",".join(map(repr, row)) for row in prediction.scores.tolist()).encode()


def _encode_npy(prediction: Prediction) -> bytes:
    body = BytesIO()
    np.save(body, prediction.scores, allow_pickle=False)
    return body.getvalue()


def _error(status: int, kind: str, message: str, **more: object) -> web.Response:
    answer = {"Code": kind, "Message": message, "OriginalMessage": message, **more}
    headers = {"x-amzn-ErrorType": kind}
    body = _encoder.encode(answer)
    return web.Response(body=body, status=status, headers=headers, content_type=JSON)


def _failed(status: int, message: str) -> web.Response:
    return web.Response(body=_encoder.encode({"error": message}), status=status, content_type=JSON)
