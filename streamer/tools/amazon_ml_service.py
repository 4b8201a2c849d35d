"""Calls Amazon ML for the command line: creates entities, waits for them, deletes them.

Region, credentials and address come from the standard chain of the AWS SDK.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

from botocore import exceptions, xform_name
from botocore.config import Config
from botocore.session import get_session

from streamer.errors import EndpointError, SettingsError

Kind = Literal["DataSource", "MLModel", "Evaluation", "BatchPrediction"]

ATTEMPTS: Final = 5
"""How often the SDK sends a request that fails, in all."""
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 10.0
"""Pauses between questions for the status of a job; each is half as long again as the last."""


class FailedError(EndpointError):
    """An entity has the status FAILED."""


class AmazonMLService:
    """The operations of the service, by the kind of entity."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def create(self, operation: str, **parameters: Any) -> None:
        """Create an entity. If it exists with the same parameters, nothing changes.

        Raises:
            EndpointError: it exists with other parameters, or the service refuses the request.
        """
        self._call(operation, **parameters)

    def find(self, kind: Kind, id: str) -> dict[str, Any] | None:  # noqa: A002 - as AWS says
        """Return an entity; None if there is none or it was deleted."""
        try:
            found = self._call(f"Get{kind}", **{f"{kind}Id": id})
        except EndpointError as error:
            if _code(error.__cause__) == "ResourceNotFoundException":
                return None
            raise
        return None if found["Status"] == "DELETED" else found

    def wait(
        self,
        kind: Kind,
        id: str,  # noqa: A002
        pause: Callable[[float], None] = time.sleep,
    ) -> dict[str, Any]:
        """Wait until the job of an entity has ended, and return the entity.

        Raises:
            FailedError: the job has failed; the message says why.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            found = self.find(kind, id)
            if found is None:
                raise FailedError(f"the {kind} {id} was deleted in the meantime")
            if found["Status"] == "FAILED":
                reason = found.get("Message") or f"no reason is given; see {found.get('LogUri')}"
                raise FailedError(f"the {kind} {id} has failed: {reason}")
            if found["Status"] == "COMPLETED":
                return found
            pause(pause_s)
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)

    def list(self, kind: Kind, **asked: Any) -> Iterator[dict[str, Any]]:
        """Yield the entities of a kind that were not deleted, page by page."""
        token: dict[str, str] = {}
        while True:
            page = self._call(f"Describe{kind}s", **asked, **token)
            for each in page.get("Results", []):
                if each["Status"] != "DELETED":
                    yield each
            if "NextToken" not in page:
                return
            token = {"NextToken": page["NextToken"]}

    def delete(self, kind: Kind, id: str) -> bool:  # noqa: A002
        """Delete an entity; return whether there was one."""
        if self.find(kind, id) is None:
            return False
        self._call(f"Delete{kind}", **{f"{kind}Id": id})
        return True

    def create_endpoint(self, model: str, pause: Callable[[float], None] = time.sleep) -> str:
        """Create the real-time endpoint of a model, and return its address once it is ready.

        Raises:
            EndpointError: the model does not exist or is not complete.
        """
        self._call("CreateRealtimeEndpoint", MLModelId=model)
        pause_s = FIRST_PAUSE_S
        while True:
            info = (self.find("MLModel", model) or {}).get("EndpointInfo", {})
            match info.get("EndpointStatus"):
                case "READY":
                    return str(info["EndpointUrl"])
                case "UPDATING":
                    pause(pause_s)
                    pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
                case status:
                    raise FailedError(f"the real-time endpoint of {model} is {status}")

    def delete_endpoint(self, model: str) -> None:
        """Delete the real-time endpoint of a model."""
        self._call("DeleteRealtimeEndpoint", MLModelId=model)

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, xform_name(operation))(**parameters)
        except exceptions.ClientError as error:
            details = error.response.get("Error", {})
            raise EndpointError(
                f"Amazon ML refuses {operation}: {details.get('Code')}: {details.get('Message')}"
            ) from error
        except exceptions.BotoCoreError as error:
            raise EndpointError(
                f"Amazon ML cannot be called: {error}; AWS_ENDPOINT_URL_MACHINE_LEARNING is the "
                "address of a server that is not AWS"
            ) from error
        return answer


@contextmanager
def open_service() -> Iterator[AmazonMLService]:
    """Open the service while the context is open.

    Raises:
        SettingsError: the SDK lacks a setting.
    """
    config = Config(retries={"total_max_attempts": ATTEMPTS, "mode": "standard"})
    try:
        client = get_session().create_client("machinelearning", config=config)
    except exceptions.NoRegionError:
        raise SettingsError(
            "AWS has no region for machinelearning; set AWS_DEFAULT_REGION, or one in your AWS "
            "profile"
        ) from None
    except (exceptions.BotoCoreError, ValueError) as error:
        raise SettingsError(f"the AWS settings do not work: {error}") from None
    try:
        yield AmazonMLService(client)
    finally:
        client.close()


def _code(error: BaseException | None) -> str:
    if isinstance(error, exceptions.ClientError):
        return str(error.response.get("Error", {}).get("Code"))
    return ""
