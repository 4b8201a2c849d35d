"""What clients are told: one form of answer for each error, in every protocol."""

from typing import Any, Final

from aiohttp import web

from streamer.gateway.access import Access, Forbidden, Unauthorised
from streamer.gateway.device_rates import TooMany
from streamer.gateway.intake import BadReadings
from streamer.gateway.reading_queue import Busy, RecordTooLarge
from streamer.gateway.request_bodies import BadRequest
from streamer.gateway.token_file import Grant

_BEARER: Final = "bearer "
_PROTOCOL: Final = "bearer."
"""A browser cannot send headers with a WebSocket: its token is a subprotocol with this prefix."""

TOLD_FAULTS: Final = 20
"""Faulty readings that an answer describes at most."""

ERRORS = (Unauthorised, Forbidden, BadRequest, BadReadings, TooMany, Busy, RecordTooLarge)
"""What a handler of a request raises for its client to be told."""


def find_token(request: web.Request) -> str | None:
    """Return the token of a request: from `Authorization`, or from the subprotocols it offers."""
    header = request.headers.get("Authorization", "")
    if header[: len(_BEARER)].lower() == _BEARER:
        return header[len(_BEARER) :].strip()
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if offered.strip().startswith(_PROTOCOL):
            return offered.strip().removeprefix(_PROTOCOL)
    return None


def authorise(request: web.Request, access: Access, device_id: str | None) -> Grant:
    """Return what the client of a request may do; raises as `Access.check`."""
    return access.check(find_token(request), device_id)


def describe(error: BaseException) -> tuple[int, str, dict[str, Any]]:
    """Return how one of `ERRORS` is told: the HTTP status, the outcome for metrics, the answer."""
    answer: dict[str, Any] = {"error": str(error)}
    match error:
        case Unauthorised():
            return 401, "unauthorised", answer
        case Forbidden():
            return 403, "forbidden", answer
        case BadRequest():
            return error.status, "bad_request", answer
        case BadReadings():
            shown = list(error.faults.items())[:TOLD_FAULTS]
            answer["readings"] = [
                {"reading": number, "reason": fault.reason, "detail": fault.detail}
                for number, fault in shown
            ]
            return 400, "unreadable", answer
        case RecordTooLarge():
            return 413, "too_large", answer
        case TooMany():
            return 429, "limited", answer | {"retry_after_s": error.retry_after_s}
        case Busy():
            return 503, "busy", answer | {"retry_after_s": error.retry_after_s}
    raise error


def as_response(error: Exception) -> web.Response:
    """Return the answer to a request that one of `ERRORS` has ended."""
    status, _, answer = describe(error)
    headers = {}
    if "retry_after_s" in answer:
        headers["Retry-After"] = str(answer["retry_after_s"])
    if isinstance(error, Unauthorised):
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response(answer, status=status, headers=headers)
