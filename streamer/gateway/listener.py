"""Listens for connections, and refuses those that are too many."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from streamer.errors import SettingsError
from streamer.gateway_metrics import GatewayMetrics
from streamer.settings import GatewaySettings

_HANDSHAKE_S: Final = 10.0
_BACKLOG: Final = 1024
_LINGER_S: Final = 2.0
"""Time for which the rest of a refused body is read, so that the client reads the answer."""

_REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: 43\r\n\r\n"
    b'{"error": "there are too many connections"}'
)


class _Refusal(asyncio.Protocol):
    """Tells a client that there are too many connections, and closes its own."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_REFUSAL)
        transport.close()


@asynccontextmanager
async def listen(
    settings: GatewaySettings,
    app: web.Application,
    metrics: GatewayMetrics,
    tls: ssl.SSLContext | None,
) -> AsyncIterator[int]:
    """Serve the application while the context is open; yield the port, also if the setting is 0.

    At the end no connection is accepted any more, requests that are open are answered, and
    WebSockets are closed.

    Raises:
        SettingsError: the address cannot be used.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        # It also limits the time for the headers of a request.
        keepalive_timeout=settings.gateway_request_timeout_s,
        lingering_time=_LINGER_S,
        shutdown_timeout=settings.gateway_drain_s,
    )
    await runner.setup()
    accept = runner.server
    assert accept is not None

    def count() -> int:
        return len(accept.connections)

    def protocol() -> asyncio.Protocol:
        if count() >= settings.gateway_max_connections:
            metrics.refused_connections.inc()
            return _Refusal()
        return accept()

    metrics.connections.set_function(count)
    try:
        try:
            server = await asyncio.get_running_loop().create_server(
                protocol,
                settings.gateway_host,
                settings.gateway_port,
                ssl=tls,
                ssl_handshake_timeout=_HANDSHAKE_S if tls else None,
                backlog=_BACKLOG,
            )
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {settings.gateway_host}:{settings.gateway_port}: "
                f"{error.strerror}; choose another with --gateway-port, 0 for any free one"
            ) from None
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
    finally:
        await runner.cleanup()
