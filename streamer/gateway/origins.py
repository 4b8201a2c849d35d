"""Which web pages may use the gateway: its own, and those of the origins in the settings.

A browser sends `Origin` with every request that a page of another host causes. Such a request is
refused, also without CORS: otherwise any page could use a gateway on the machine of its visitor.
"""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from streamer.gateway.access import Forbidden

_METHODS: Final = "GET, POST"
_HEADERS: Final = "Authorization, Content-Type, Content-Encoding, Last-Event-ID"
_EXPOSED: Final = "Retry-After"


class Origins:
    """The origins that may use the gateway.

    Args:
        allowed: comma-separated, such as ``https://app.example.org``; ``*`` for all.
    """

    def __init__(self, allowed: str) -> None:
        self._allowed = {each.strip().rstrip("/") for each in allowed.split(",") if each.strip()}

    def is_allowed(self, origin: str) -> bool:
        """Return whether the settings name this origin."""
        return "*" in self._allowed or origin in self._allowed

    def check(self, request: web.Request) -> str | None:
        """Return the foreign origin of a request; None if it has none.

        Raises:
            Forbidden: the settings do not name it.
        """
        origin = request.headers.get("Origin")
        if origin is None or urlsplit(origin).netloc == request.host:
            return None
        if not self.is_allowed(origin):
            raise Forbidden(
                f"pages of {origin!r:.80} may not use this gateway; gateway_cors_origins says "
                "which may"
            )
        return origin


def show_to(origin: str, response: web.StreamResponse) -> None:
    """Let a page of this origin read a response that has not been sent yet."""
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = _EXPOSED
    response.headers["Vary"] = "Origin"


def answer_preflight() -> web.Response:
    """Return the answer to a browser that asks whether a page may send a request."""
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _HEADERS,
            "Access-Control-Max-Age": "3600",
        },
    )
