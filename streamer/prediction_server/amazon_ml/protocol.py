"""The protocol of Amazon ML: requests, errors and answers, after the service model of the SDK.

A request is `POST /` with the operation in the header `X-Amz-Target`. Signatures are not checked.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec
from aiohttp import web
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from streamer.errors import UNDECODABLE

CONTENT_TYPE: Final = "application/x-amz-json-1.1"
TARGET: Final = "AmazonML_20141212."


class AmazonMLError(Exception):
    """An error answer, with the name that the service gives the error."""

    def __init__(self, kind: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.kind, self.status = kind, status


def invalid_input(message: str) -> AmazonMLError:
    """Make the error for a request that the service does not accept."""
    return AmazonMLError("InvalidInputException", message)


def not_found(message: str) -> AmazonMLError:
    """Make the error for an entity that does not exist."""
    return AmazonMLError("ResourceNotFoundException", message)


@cache
def load_service_model() -> ServiceModel:
    """Return the description of the service that the SDK has."""
    return ServiceModel(Loader().load_service_model("machinelearning", "service-2"))


def name_operation(request: web.Request) -> str:
    """Return the operation that a request names.

    Raises:
        AmazonMLError: the service has no such operation.
    """
    operation = request.headers.get("X-Amz-Target", "").removeprefix(TARGET)
    if operation not in load_service_model().operation_names:
        raise AmazonMLError("UnknownOperationException", f"no operation {operation!r}")
    return operation


def decode_question(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        AmazonMLError: the body is something else.
    """
    try:
        question = msgspec.json.decode(body)
    except UNDECODABLE as error:
        raise AmazonMLError("SerializationException", str(error)) from None
    if not isinstance(question, dict):
        raise AmazonMLError("SerializationException", "a JSON object is expected")
    return question


def check_question(operation: str, question: dict[str, Any]) -> None:
    """Check a request against the shape of its operation: names, types, lengths, patterns.

    Raises:
        AmazonMLError: a member is missing, unknown or malformed.
    """
    shape = load_service_model().operation_model(operation).input_shape
    report = ParamValidator().validate(question, shape)
    if report.has_errors():
        raise invalid_input(report.generate_report())
    if unknown := question.keys() - shape.members.keys():
        raise invalid_input(f"{operation} has no parameter {min(unknown)!r}")
    for name, value in question.items():
        _check_texts(name, shape.members[name], value)


def _check_texts(place: str, shape: Shape, value: Any) -> None:
    """Check what the SDK does not: patterns, enumerations, and greatest lengths and numbers."""
    match shape.type_name:
        case "structure":
            for name, part in value.items():
                _check_texts(f"{place}.{name}", shape.members[name], part)
        case "list":
            _check_most(place, shape, len(value), "members")
            for part in value:
                _check_texts(place, shape.member, part)
        case "string":
            _check_text(place, shape, value)
        case "integer":
            _check_most(place, shape, value, "as the greatest number")


def _check_text(place: str, shape: Shape, text: str) -> None:
    _check_most(place, shape, len(text), "characters")
    allowed = shape.metadata.get("enum")
    if allowed and text not in allowed:
        raise invalid_input(f"{place} must be one of {', '.join(allowed)}: {text[:80]!r}")
    pattern = shape.metadata.get("pattern", "")
    # Python has no Unicode classes.
    if pattern and r"\p{" not in pattern and not re.fullmatch(pattern, text, re.DOTALL):
        raise invalid_input(f"{place} must match {pattern}: {text[:80]!r}")


def _check_most(place: str, shape: Shape, count: int, of_what: str) -> None:
    if count > (most := shape.metadata.get("max", count)):
        raise invalid_input(f"{place} may have {most} {of_what}")


def choose_members(operation: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a document that the answer of an operation has."""
    members = load_service_model().operation_model(operation).output_shape.members
    return {name: document[name] for name in members if name in document}


def choose_listed_members(operation: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a document that one of the `Results` of an operation has."""
    shape = load_service_model().operation_model(operation).output_shape.members["Results"]
    return {name: document[name] for name in shape.member.members if name in document}
