"""Calls SageMaker: many windows per call, in the format that the container reads."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from streamer.arrays import Floats
from streamer.model.identity import ModelIdentity
from streamer.predict import aws_client, sagemaker_formats
from streamer.predict.endpoint_protocol import CallError, InvalidAnswerError
from streamer.predict.predictor import Prediction
from streamer.predict.quotas import SAGEMAKER_ANSWER_BYTES


class SageMakerClient:
    """An endpoint of SageMaker."""

    name = "sagemaker"

    def __init__(
        self,
        client: Any,
        endpoint: str,
        form: sagemaker_formats.Format,
        activities: Mapping[str, str],
        most_windows: int,
    ) -> None:
        self.most_windows = most_windows
        self._client = client
        self._endpoint = endpoint
        self._form = form
        # Stock containers do not name their model; only the variant is known.
        self._labels = tuple(activities), tuple(activities.values())

    async def score(self, features: Floats) -> Prediction:
        """Predict the windows of ``features`` (n, features).

        Raises:
            CallError: the call has failed; the class of the error says whether to repeat it.
            EndpointError: no call can succeed before an operator corrects the set-up.
        """
        try:
            answer = await self._client.invoke_endpoint(
                EndpointName=self._endpoint,
                Body=sagemaker_formats.encode(features, self._form),
                ContentType=sagemaker_formats.CONTENT_TYPES[self._form],
                Accept=sagemaker_formats.JSON,
            )
            # An unread body would keep its connection out of the pool.
            async with answer["Body"] as stream:
                body = await _read_body(stream.content)
        except CallError:
            raise
        except Exception as error:
            raise aws_client.classify_error(error) from error
        variant = answer.get("InvokedProductionVariant") or ""
        card = ModelIdentity(self._endpoint, variant, *self._labels)
        return sagemaker_formats.decode(body, answer.get("ContentType") or "", card, len(features))


async def _read_body(content: aiohttp.StreamReader) -> bytes:
    """Read a body that may be decompressed on the way.

    Raises:
        InvalidAnswerError: the body is larger than SageMaker allows.
    """
    body = bytearray()
    async for part in content.iter_chunked(SAGEMAKER_ANSWER_BYTES):
        body += part
        if len(body) > SAGEMAKER_ANSWER_BYTES:
            raise InvalidAnswerError(
                f"an answer has more than {SAGEMAKER_ANSWER_BYTES:,} bytes, which is the limit of "
                "SageMaker"
            )
    return bytes(body)


@asynccontextmanager
async def open_sagemaker(
    endpoint: str,
    form: sagemaker_formats.Format,
    activities: Mapping[str, str],
    most_windows: int,
    connections: int,
    timeout_s: float,
) -> AsyncIterator[SageMakerClient]:
    """Open an endpoint.

    Args:
        endpoint: name of the endpoint.
        form: format that the container reads.
        activities: activity of each label in the order of the scores, for containers that do not
            name them.
        most_windows: largest number of windows in a call.
        connections: most calls at once.
        timeout_s: limit for each part of a call.

    Raises:
        SettingsError: the SDK lacks a setting.
    """
    async with aws_client.open_client("sagemaker-runtime", connections, timeout_s) as client:
        yield SageMakerClient(client, endpoint, form, activities, most_windows)
