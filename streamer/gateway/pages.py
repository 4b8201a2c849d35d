"""The pages for people: the fleet at `/`, and a phone's own page at `/phone`.

Their files are in `static/`. They load nothing from another host, and have no script or style in
the page itself, so the policy for their content can forbid both.
"""

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Final

from aiohttp import web

_FILES: Final = {
    "/": "fleet.html",
    "/phone": "phone.html",
    "/static/chart.js": "chart.js",
    "/static/device_socket.js": "device_socket.js",
    "/static/feedback.js": "feedback.js",
    "/static/fleet.js": "fleet.js",
    "/static/gateway.js": "gateway.js",
    "/static/icon.svg": "icon.svg",
    "/static/motion.js": "motion.js",
    "/static/phone.js": "phone.js",
    "/static/style.css": "style.css",
}

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "accelerometer=(self), gyroscope=(self), screen-wake-lock=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def add_routes(app: web.Application) -> None:
    """Add the pages and their files. They show nothing without a token, so they need none."""
    folder = resources.files("streamer.gateway") / "static"
    for path, name in _FILES.items():
        app.router.add_get(path, _make_handler((folder / name).read_bytes(), name))


def _make_handler(body: bytes, name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    headers = _HEADERS | {"Content-Type": _TYPES[name.rsplit(".", 1)[-1]]}

    async def send(_: web.Request) -> web.Response:
        return web.Response(body=body, headers=headers)

    return send
