"""Opens clients of the AWS SDK, and classifies its errors."""

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
    TooLargeError,
)

LONGEST_TEXT = 500
"""Characters of what an endpoint says; a proxy may say a whole page."""

_THROTTLES = {
    "LimitExceededException",
    "ModelNotReadyException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_NO_CREDENTIALS = (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)
_INVALID_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_REFUSALS = {"InvalidInputException", "ValidationError", "ValidationException"}
_TEMPORARY = {
    "InternalDependencyException",
    "InternalFailure",
    "InternalServerException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
}


@asynccontextmanager
async def open_client(service: str, connections: int, timeout_s: float) -> AsyncIterator[Any]:
    """Open a client; region, credentials and address come from the standard chain of the SDK.

    Args:
        service: name of the service in the SDK.
        connections: most calls at once. Further calls would wait for a connection without limit.
        timeout_s: limit for connecting, and for each part of an answer.

    Raises:
        SettingsError: the standard chain lacks something.
    """
    config = AioConfig(
        # We retry ourselves. `max_attempts: 1` would still send two requests.
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=connections,
        connect_timeout=timeout_s,
        read_timeout=timeout_s,
        # Validation costs as much as signing and sending, and our requests are valid.
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
    """Translate an error of the SDK into one that says what to do: repeat, give up, or stop."""
    if isinstance(error, exceptions.ClientError):
        return _classify_answer(error)
    if isinstance(error, _NO_CREDENTIALS):
        return EndpointError(
            f"no AWS credentials: {error}; the SDK takes them from AWS_PROFILE, "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of the machine"
        )
    text = f"{type(error).__name__}: {error}"[:LONGEST_TEXT]
    if isinstance(error, exceptions.SSLError):
        text += "; AWS_CA_BUNDLE names the file of certificates to trust"
    # The others: timeouts, connections refused and cut, answers that are not HTTP, credentials
    # that cannot be renewed now.
    return RetryableError(text)


def _classify_answer(error: exceptions.ClientError) -> CallError | EndpointError:
    answer = error.response
    code = str(answer.get("Error", {}).get("Code") or "")
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    message = answer.get("Error", {}).get("Message")
    text = f"{code}: {message}"[:LONGEST_TEXT]
    # SageMaker has been seen to throttle with status 400 and no message.
    if code in _THROTTLES or status == 429 or (status == 400 and not message):
        return ThrottledError(text)
    if status == 413:
        return TooLargeError(text)
    if code == "ModelError":
        original = int(answer.get("OriginalStatusCode") or 500)
        if original == 429:
            return ThrottledError(text)
        if original == 413:
            return TooLargeError(text)
        return RetryableError(text) if original >= 500 else RefusedError(text)
    if code in _REFUSALS and "not found" not in text:
        return RefusedError(text)
    if code in _TEMPORARY or status >= 500:
        return RetryableError(text)
    if code.isdecimal() or not code:
        # The SDK shows the status if an answer has no code, and each answer of AWS has one.
        return RetryableError(f"HTTP status {text}; the answer is not from AWS but from a proxy")
    if code in _INVALID_CREDENTIALS:
        return EndpointError(
            f"AWS does not accept these credentials: {text}; renew them, and check that the clock "
            "of this machine is right"
        )
    return EndpointError(
        f"{error.operation_name} is not allowed or not possible: {text}; check the name of the "
        "endpoint, the region and the permissions of these AWS credentials"
    )
