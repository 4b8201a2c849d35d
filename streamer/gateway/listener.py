"""Lets the gateway listen with the limits of its settings."""

import ssl
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

from aiohttp import web

from streamer.gateway.request_bodies import ARRIVING
from streamer.gateway_metrics import GatewayMetrics
from streamer.process import listener
from streamer.settings import GatewaySettings

_LINGER_S: Final = 2.0
"""Time for which the rest of a refused body is read, so that the client reads the answer."""


def listen(
    settings: GatewaySettings,
    app: web.Application,
    metrics: GatewayMetrics,
    tls: ssl.SSLContext | None,
) -> AbstractAsyncContextManager[int]:
    """Serve the application while the context is open; yield the port.

    Raises:
        SettingsError: the address cannot be used.
    """
    return listener.listen(
        app,
        (settings.gateway_host, settings.gateway_port),
        tls,
        most_connections=settings.gateway_max_connections,
        on_refusal=metrics.refused_connections.inc,
        show_count=metrics.connections.set_function,
        before_end=partial(app[ARRIVING].wait, settings.gateway_drain_s),
        advice="choose another with --gateway-port, 0 for any free one",
        # It also limits the time for the headers of a request.
        keepalive_timeout=settings.gateway_request_timeout_s,
        lingering_time=_LINGER_S,
        shutdown_timeout=settings.gateway_drain_s,
    )
