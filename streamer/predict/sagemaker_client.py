"""SageMaker: many windows a call, in whatever format the container reads."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from streamer.arrays import Floats
from streamer.model.identity import ModelIdentity
from streamer.predict import aws_client, sagemaker_formats
from streamer.predict.predictor import Prediction


class SageMakerClient:
    """One endpoint of SageMaker."""

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
        # Stock containers do not say which model they have; the variant is all that is known.
        self._labels = tuple(activities), tuple(activities.values())

    async def score(self, features: Floats) -> Prediction:
        """Call for the windows of ``features`` (n, features).

        Raises:
            CallError: and which kind of it says what may be done.
            EndpointError: nothing may be done before somebody puts something right.
        """
        try:
            answer = await self._client.invoke_endpoint(
                EndpointName=self._endpoint,
                Body=sagemaker_formats.encode(features, self._form),
                ContentType=sagemaker_formats.CONTENT_TYPES[self._form],
                Accept=sagemaker_formats.JSON,
            )
            # A body that is not read keeps its connection from everybody else.
            async with answer["Body"] as stream:
                body = await stream.read()
        except Exception as error:
            raise aws_client.classify_error(error) from error
        variant = answer.get("InvokedProductionVariant") or ""
        card = ModelIdentity(self._endpoint, variant, *self._labels)
        return sagemaker_formats.decode(body, answer.get("ContentType") or "", card, len(features))


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
        endpoint: its name.
        form: what its container reads.
        activities: activity names by label, in the order of its scores, where it does not say.
        most_windows: in a call.
        connections: calls at once.
        timeout_s: for each part of a call.

    Raises:
        SettingsError: the SDK lacks something.
    """
    async with aws_client.open_client("sagemaker-runtime", connections, timeout_s) as client:
        yield SageMakerClient(client, endpoint, form, activities, most_windows)
