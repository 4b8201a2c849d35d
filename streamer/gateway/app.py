"""The web application of the gateway, made of the routes of its modules."""

from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from streamer.gateway import health_pages, http_labels, http_readings, live_pages, pages, websocket
from streamer.gateway.access import Access
from streamer.gateway.answers import ERRORS, as_response
from streamer.gateway.device_rates import BURST_S, DeviceRates
from streamer.gateway.device_sockets import DeviceSockets
from streamer.gateway.intake import Intake
from streamer.gateway.labels_writer import LabelsWriter
from streamer.gateway.live_pages import Live
from streamer.gateway.origins import Origins, answer_preflight, show_to
from streamer.gateway.readings_check import ReadingsCheck
from streamer.gateway.readings_writer import ReadingsWriter
from streamer.gateway.request_bodies import ARRIVING, ArrivingBodies
from streamer.gateway_metrics import GatewayMetrics
from streamer.settings import GatewaySettings

_ORIGIN: Final = web.RequestKey("origin", str)
"""The foreign origin of a request."""

_KEPT: Final = ("Allow", "Retry-After", "Location")
"""Headers that an answer of aiohttp keeps."""


def make_intake(
    settings: GatewaySettings,
    writer: ReadingsWriter,
    metrics: GatewayMetrics,
    burst_s: float = BURST_S,
) -> Intake:
    """Make an intake.

    Args:
        settings: limits, and the format of the readings.
        writer: writes readings to Kafka.
        metrics: of the gateway.
        burst_s: seconds' worth of samples that a device may send at once.

    Raises:
        SettingsError: there is no such format of readings.
        InstallationError: the format needs an extra package.
    """
    rates = DeviceRates(
        settings.gateway_max_samples_per_s,
        settings.gateway_max_devices_per_token,
        burst_s=burst_s,
    )
    return Intake(writer, ReadingsCheck(settings), rates, metrics)


def make_app(
    settings: GatewaySettings,
    writer: ReadingsWriter,
    access: Access,
    intake: Intake,
    sockets: DeviceSockets,
    metrics: GatewayMetrics,
    live: Live | None = None,
    mqtt_trouble: Callable[[], str | None] = lambda: None,
) -> web.Application:
    """Make the application.

    Args:
        settings: limits, and the format of the readings.
        writer: writes readings to Kafka; its state is that of the gateway.
        access: who may write and read what.
        intake: takes the readings.
        sockets: gets the open WebSockets; they are closed when the application shuts down.
        metrics: of the gateway.
        live: what is read from Kafka for those who follow it; without it nobody can.
        mqtt_trouble: returns why no messages of an MQTT broker are taken, None if nothing is wrong.
    """
    app = web.Application(
        client_max_size=settings.gateway_max_body_bytes,
        middlewares=[_guard(Origins(settings.gateway_cors_origins))],
    )
    app[ARRIVING] = ArrivingBodies()
    health_pages.add_routes(app, access, writer, metrics, mqtt_trouble)
    http_readings.add_routes(app, settings, access, intake, metrics)
    http_labels.add_routes(app, settings, access, LabelsWriter(settings))
    websocket.add_routes(app, settings, access, intake, sockets, metrics)
    pages.add_routes(app)
    if live is not None:
        live_pages.add_routes(app, settings, access, live)
    metrics.websockets.set_function(lambda: len(sockets))
    metrics.show_buffer(lambda: writer.buffered_bytes, lambda: writer.waiting_s)

    async def end_sockets(_: web.Application) -> None:
        await sockets.end_all(settings.gateway_drain_s)

    app.on_shutdown.append(end_sockets)
    app.on_response_prepare.append(_show_to_its_origin)
    return app


async def _show_to_its_origin(request: web.Request, response: web.StreamResponse) -> None:
    """Let the foreign page that has sent a request read the response, also one that goes on."""
    if origin := request.get(_ORIGIN):
        show_to(origin, response)


def _guard(origins: Origins) -> Middleware:
    """Make the middleware that refuses foreign pages and tells clients of errors."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if (origin := origins.check(request)) is not None:
                request[_ORIGIN] = origin
                if request.method == "OPTIONS":
                    return answer_preflight()
            return await handler(request)
        except ERRORS as error:
            return as_response(error)
        except web.HTTPException as error:
            return _as_json(error)

    return guard


def _as_json(error: web.HTTPException) -> web.Response:
    """Return the answer of aiohttp in the form of all answers of the gateway."""
    kept = {name: error.headers[name] for name in _KEPT if name in error.headers}
    return web.json_response({"error": error.reason}, status=error.status, headers=kept)
