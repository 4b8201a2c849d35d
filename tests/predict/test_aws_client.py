"""Errors of the AWS SDK: which of them pass, and which end the worker."""

import pytest
from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError

from streamer.errors import EndpointError
from streamer.predict.aws_client import classify_error
from streamer.predict.endpoint_protocol import (
    CallError,
    RefusedError,
    RetryableError,
    ThrottledError,
    TooLargeError,
)


def client_error(code: str, message: str, status: int, container: int = 0) -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
        "OriginalStatusCode": container,
    }
    return ClientError(answer, "InvokeEndpoint")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (client_error("ExpiredTokenException", "expired", 403), EndpointError, "credentials"),
        (client_error("UnrecognizedClientException", "bad", 403), EndpointError, "credentials"),
        (client_error("AccessDeniedException", "no", 403), EndpointError, "permissions"),
        (
            client_error("InvalidSignatureException", "Signature expired", 403),
            EndpointError,
            "clock",
        ),
        (client_error("302", "Found", 302), RetryableError, "302"),
        (client_error("401", "Unauthorized", 401), RetryableError, "proxy"),
        (client_error("403", "Forbidden", 403), RetryableError, "proxy"),
        (client_error("404", "Not Found", 404), RetryableError, "404"),
        (client_error("405", "Method Not Allowed", 405), RetryableError, "proxy"),
        (client_error("413", "<h1>Too Large</h1>", 413), TooLargeError, "413"),
        (client_error("415", "Unsupported Media Type", 415), RetryableError, "proxy"),
        (client_error("429", "Too Many Requests", 429), ThrottledError, "429"),
        (client_error("ModelError", "too large", 424, 413), TooLargeError, "too large"),
        (client_error("ModelError", "media type", 424, 415), RefusedError, "media type"),
        (client_error("ModelError", "busy", 424, 429), ThrottledError, "busy"),
        (client_error("ModelError", "out of memory", 424, 500), RetryableError, "memory"),
        (client_error("ValidationError", "a name lacks", 400), RefusedError, "a name lacks"),
        (client_error("ValidationError", "Endpoint x not found", 400), EndpointError, "not found"),
        (CredentialRetrievalError(provider="role", error_msg="503"), RetryableError, "503"),
        (NoCredentialsError(), EndpointError, "AWS_PROFILE"),
    ],
    ids=str,
)
def test_errors_of_the_sdk_say_whether_to_wait_or_to_stop(
    error: Exception, kind: type[CallError | EndpointError], words: str
) -> None:
    found = classify_error(error)
    assert isinstance(found, kind)
    assert words in str(found)
