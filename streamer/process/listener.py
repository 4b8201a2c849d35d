"""Listens for HTTP connections, and refuses those that are too many or last too long."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from streamer.errors import SettingsError

_HANDSHAKE_S: Final = 10.0
_BACKLOG: Final = 1024
_TO_REFUSE: Final = 100
"""Connections beyond the limit that may wait to be refused."""

_REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: 43\r\n\r\n"
    b'{"error": "there are too many connections"}'
)


class _Arrival(asyncio.Protocol):
    """A connection until it is open; then a handler of requests takes it over, or it is refused.

    The number of open connections is looked at only then: asyncio accepts many connections before
    the first of them is open, and with TLS a handshake takes time.

    Args:
        admit: returns a handler; None if there are too many connections.
    """

    def __init__(self, admit: Callable[[], web.RequestHandler | None]) -> None:
        self._admit = admit
        self._handler: web.RequestHandler | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._handler = self._admit()
        if self._handler is None:
            transport.write(_REFUSAL)
            transport.close()
        else:
            transport.set_protocol(self._handler)
            self._handler.connection_made(transport)

    def cut_off(self) -> None:
        """End a connection; closed in order it would wait for a client that does not read."""
        if self._handler is not None and isinstance(self._handler.transport, asyncio.Transport):
            self._handler.transport.abort()


@asynccontextmanager
async def listen(
    app: web.Application,
    address: tuple[str, int],
    tls: ssl.SSLContext | None,
    *,
    most_connections: int,
    longest_s: float | None = None,
    on_refusal: Callable[[], None] = lambda: None,
    show_count: Callable[[Callable[[], int]], None] = lambda _: None,
    before_end: Callable[[], Awaitable[None]] | None = None,
    advice: str,
    **limits: Any,
) -> AsyncIterator[int]:
    """Serve an application while the context is open; yield the port, also if 0 is asked for.

    At the end no connection is accepted any more, requests that are open are answered, and
    WebSockets are closed.

    Args:
        app: the application.
        address: host and port.
        tls: the context with the server's certificate; None serves plain HTTP.
        most_connections: connections that may be open at the same time; others are refused.
        longest_s: time after which a connection is cut off, whatever it does; None for no limit.
        on_refusal: is called for each connection that is refused.
        show_count: is called with a function that returns the number of open connections.
        before_end: is awaited when no connection is accepted any more, and before no more is read
            of those that are open.
        advice: what to do when the address cannot be used.
        limits: further limits, as `aiohttp.web.AppRunner` takes them.

    Raises:
        SettingsError: the address cannot be used.
    """
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(app, access_log=None, **limits)
    await runner.setup()
    accept = runner.server
    assert accept is not None

    def count() -> int:
        return len(accept.connections)

    def admit() -> web.RequestHandler | None:
        if count() >= most_connections:
            on_refusal()
            return None
        return accept()

    def protocol() -> asyncio.Protocol:
        arrival = _Arrival(admit)
        if longest_s is not None:
            loop.call_later(longest_s, arrival.cut_off)
        return arrival

    show_count(count)
    host, port = address
    try:
        try:
            server = await loop.create_server(
                protocol,
                host,
                port,
                ssl=tls,
                ssl_handshake_timeout=_HANDSHAKE_S if tls else None,
                backlog=min(_BACKLOG, most_connections + _TO_REFUSE),
            )
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {host}:{port}: {error.strerror}; {advice}"
            ) from None
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            if before_end is not None:
                await before_end()
    finally:
        await runner.cleanup()
