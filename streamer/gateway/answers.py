"""What clients are told: one form of answer for each error, in every protocol."""

from typing import Any

from aiohttp import web

from streamer.gateway.access import Access, Forbidden, Unauthorised
from streamer.gateway.intake import BadReadings
from streamer.gateway.readings_writer import Busy, RecordTooLarge
from streamer.gateway.token_file import Grant

_BEARER = "Bearer "
_PROTOCOL = "bearer."
"""A browser cannot send headers with a WebSocket: its token is a subprotocol with this prefix."""

TOLD_FAULTS = 20
"""Faulty readings that an answer describes at most."""

ERRORS = (Unauthorised, Forbidden, BadReadings, Busy, RecordTooLarge)
"""What a handler of a request raises for its client to be told."""


def find_token(request: web.Request) -> str | None:
    """Return the token of a request: from `Authorization`, or from the subprotocols it offers."""
    header = request.headers.get("Authorization", "")
    if header[: len(_BEARER)].lower() == _BEARER.lower():
        return header[len(_BEARER) :].strip()
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if offered.strip().startswith(_PROTOCOL):
            return offered.strip().removeprefix(_PROTOCOL)
    return None


def authorise(request: web.Request, access: Access, device_id: str | None) -> Grant:
    """Return what the client of a request may do; raises as `Access.check`."""
    return access.check(find_token(request), device_id)


def describe(error: Exception) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status of one of `ERRORS`, and what its client is told."""
    body: dict[str, Any] = {"error": str(error)}
    match error:
        case Unauthorised():
            return 401, body
        case Forbidden():
            return 403, body
        case BadReadings():
            shown = list(error.faults.items())[:TOLD_FAULTS]
            body["readings"] = [
                {"reading": number, "reason": fault.reason, "detail": fault.detail}
                for number, fault in shown
            ]
            return 400, body
        case RecordTooLarge():
            return 413, body
        case Busy():
            return 503, body | {"retry_after_s": error.retry_after_s}
    raise error


def as_response(error: Exception) -> web.Response:
    """Return the answer to a request that one of `ERRORS` has ended."""
    status, body = describe(error)
    headers = {}
    if "retry_after_s" in body:
        headers["Retry-After"] = str(body["retry_after_s"])
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response(body, status=status, headers=headers)
