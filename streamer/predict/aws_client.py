"""The AWS SDK as we use it, and what its errors mean for a call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aioboto3
from aiobotocore.config import AioConfig
from botocore import exceptions

from streamer import __version__
from streamer.errors import EndpointError, SettingsError
from streamer.predict.endpoint_protocol import (
    CallError,
    RefusedError,
    RetryableError,
    ThrottledError,
)

_THROTTLES = {
    "LimitExceededException",
    "ModelNotReadyException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.TokenRetrievalError,
)
_REFUSALS = {"InvalidInputException", "ValidationError", "ValidationException"}
_PASSING = {
    "InternalDependencyException",
    "InternalFailure",
    "InternalServerException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
}


@asynccontextmanager
async def open_client(service: str, connections: int, timeout_s: float) -> AsyncIterator[Any]:
    """Open a client of the SDK; region, credentials and address come from its standard chain.

    Args:
        service: the SDK's name for it.
        connections: calls at once. More would wait for a connection, and nothing bounds that.
        timeout_s: for connecting, and for each part of an answer.

    Raises:
        SettingsError: the standard chain lacks something.
    """
    config = AioConfig(
        # Retries are ours alone. One means one: `max_attempts` would still send two.
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=connections,
        connect_timeout=timeout_s,
        read_timeout=timeout_s,
        # Costs as much as signing and sending; what we send we have made.
        parameter_validation=False,
        user_agent=f"streamer/{__version__}",
    )
    try:
        async with aioboto3.Session().client(service, config=config) as opened:
            yield opened
    except exceptions.NoRegionError:
        raise SettingsError(
            f"AWS has no region for {service}; set AWS_DEFAULT_REGION, or one in your AWS profile"
        ) from None
    except (exceptions.ProfileNotFound, exceptions.ConfigParseError, ValueError) as error:
        raise SettingsError(f"the AWS settings do not work: {error}") from None


def classify_error(error: Exception) -> CallError | EndpointError:
    """Sort an error of the SDK: may the call be tried again, or the window never, or nothing?"""
    if isinstance(error, exceptions.ClientError):
        return _answered(error)
    if isinstance(error, _NO_CREDENTIALS):
        return EndpointError(
            f"no AWS credentials: {error}; the SDK takes them from AWS_PROFILE, "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of the machine"
        )
    # Timeouts, connections refused and cut off, answers that are no HTTP.
    return RetryableError(f"{type(error).__name__}: {error}")


def _answered(error: exceptions.ClientError) -> CallError | EndpointError:
    answer = error.response
    code = str(answer.get("Error", {}).get("Code") or "")
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    message = answer.get("Error", {}).get("Message")
    text = f"{code}: {message}"
    # SageMaker has been seen to throttle with a 400 that says nothing.
    if code in _THROTTLES or status == 429 or (status == 400 and not message):
        return ThrottledError(text)
    if code == "ModelError":
        original = int(answer.get("OriginalStatusCode") or 500)
        if original == 429:
            return ThrottledError(text)
        return RetryableError(text) if original >= 500 else RefusedError(text)
    if code in _REFUSALS and "not found" not in text:
        return RefusedError(text)
    if code in _PASSING or status >= 500:
        return RetryableError(text)
    return EndpointError(
        f"{error.operation_name} is not allowed or not possible: {text}; see that the endpoint's "
        "name, the region and the permissions of these AWS credentials are right"
    )
