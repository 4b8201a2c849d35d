"""SageMaker: many windows a call, in whatever format the container reads."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from streamer.arrays import Floats
from streamer.model.identity import ModelCard
from streamer.predict import aws, formats
from streamer.predict.protocol import Prediction


class SageMaker:
    """One endpoint of SageMaker."""

    name = "sagemaker"

    def __init__(
        self,
        client: Any,
        endpoint: str,
        form: formats.Format,
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
                Body=formats.encode(features, self._form),
                ContentType=formats.CONTENT_TYPES[self._form],
                Accept=formats.JSON,
            )
            # A body that is not read keeps its connection from everybody else.
            async with answer["Body"] as stream:
                body = await stream.read()
        except Exception as error:
            raise aws.what_it_means(error) from error
        variant = answer.get("InvokedProductionVariant") or ""
        card = ModelCard(self._endpoint, variant, *self._labels)
        return formats.decode(body, answer.get("ContentType") or "", card, len(features))


@asynccontextmanager
async def sagemaker(
    endpoint: str,
    form: formats.Format,
    activities: Mapping[str, str],
    most_windows: int,
    connections: int,
    timeout_s: float,
) -> AsyncIterator[SageMaker]:
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
    async with aws.client("sagemaker-runtime", connections, timeout_s) as client:
        yield SageMaker(client, endpoint, form, activities, most_windows)
