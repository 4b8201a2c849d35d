"""The web application of the gateway, made of the routes of its modules."""

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from streamer.gateway import health_pages, http_readings, live_pages, pages, websocket
from streamer.gateway.access import Access
from streamer.gateway.answers import ERRORS, as_response
from streamer.gateway.device_sockets import DeviceSockets
from streamer.gateway.intake import Intake
from streamer.gateway.live_pages import Live
from streamer.gateway.readings_check import ReadingsCheck
from streamer.gateway.readings_writer import ReadingsWriter
from streamer.settings import GatewaySettings

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(
    settings: GatewaySettings,
    writer: ReadingsWriter,
    access: Access,
    sockets: DeviceSockets | None = None,
    live: Live | None = None,
) -> web.Application:
    """Make the application.

    Args:
        settings: limits, and the format of the readings.
        writer: writes readings to Kafka; it is open.
        access: who may write and read what.
        sockets: where the open WebSockets are kept.
        live: what is read from Kafka for those who follow it; without it nobody can.
    """
    app = web.Application(
        client_max_size=settings.gateway_max_body_bytes, middlewares=[_tell_errors]
    )
    intake = Intake(writer, ReadingsCheck(settings))
    sockets = sockets if sockets is not None else DeviceSockets()
    health_pages.add_routes(app, writer)
    http_readings.add_routes(app, access, intake)
    websocket.add_routes(app, settings, access, intake, sockets)
    pages.add_routes(app)
    if live is not None:
        live_pages.add_routes(app, settings, access, live)
    return app


@web.middleware
async def _tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request that ends in one of the errors that its client is told of."""
    try:
        return await handler(request)
    except ERRORS as error:
        return as_response(error)
