"""Runs the gateway in its process: opens the port, handles signals, drains at the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import ProcessCollector

from streamer import __version__
from streamer.errors import InstallationError
from streamer.gateway.access import Access
from streamer.gateway.app import make_app, make_intake
from streamer.gateway.device_sockets import DeviceSockets
from streamer.gateway.listener import listen
from streamer.gateway.live_pages import open_live
from streamer.gateway.readings_topic import prepare_topic
from streamer.gateway.readings_writer import ReadingsWriter
from streamer.gateway_metrics import GatewayMetrics
from streamer.kafka.member import run_until_stopped
from streamer.process import log as logging
from streamer.process.warm_up import warm_up_in_thread
from streamer.process.worker import handle_signals
from streamer.settings import GatewaySettings
from streamer.tls import server_context

if TYPE_CHECKING:
    from streamer.gateway.mqtt import MqttReadings

log = structlog.get_logger(__name__)


async def run_gateway(
    settings: GatewaySettings, *, on_port: Callable[[int], None] = lambda _: None
) -> None:
    """Run a gateway until a signal, or an error that needs an operator.

    Args:
        settings: the settings of the gateway.
        on_port: is called with the port on which it listens.

    Raises:
        StreamerError: an operator must act first.
    """
    logging.configure(settings)
    stopping = asyncio.Event()
    handle_signals(stopping)
    log.info(
        "starting the gateway",
        version=__version__,
        readings_topic=settings.readings_topic,
        brokers=settings.bootstrap_servers,
    )
    tls = server_context(
        settings.gateway_certificate, settings.gateway_private_key, "gateway_certificate"
    )
    access, metrics, sockets = Access(settings.gateway_tokens), GatewayMetrics(), DeviceSockets()
    ProcessCollector(registry=metrics.registry)
    async with (
        ReadingsWriter(settings, partial(prepare_topic, settings)) as writer,
        open_live(settings, sockets) as live,
    ):
        intake = make_intake(settings, writer, metrics)
        await run_until_stopped(stopping, warm_up_in_thread(settings.readings_format))
        mqtt = _make_mqtt(settings, writer, metrics)
        app = make_app(
            settings,
            writer,
            access,
            intake,
            sockets,
            metrics,
            live,
            lambda: mqtt.trouble if mqtt else None,
        )
        async with (
            _in_background(access.follow()),
            _in_background(mqtt.run()) if mqtt else nullcontext(),
            listen(settings, app, metrics, tls) as port,
        ):
            on_port(port)
            log.info("the gateway listens", host=settings.gateway_host, port=port)
            await run_until_stopped(stopping, writer.run_until_failure())
    log.info("done")


def _make_mqtt(
    settings: GatewaySettings, writer: ReadingsWriter, metrics: GatewayMetrics
) -> "MqttReadings | None":
    """Make what takes readings from the MQTT broker of the settings, if they name one."""
    if settings.mqtt_broker is None:
        return None
    try:
        from streamer.gateway.mqtt import SESSION_S, MqttReadings  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InstallationError(
            f"readings from an MQTT broker need the extra `streamer[mqtt]`: {error}; "
            "install it with `pip install 'streamer[mqtt]'`"
        ) from error
    # A device may send at once what the broker has kept of it.
    intake = make_intake(settings, writer, metrics, burst_s=SESSION_S)
    return MqttReadings(settings, intake, metrics)


@asynccontextmanager
async def _in_background(work: Any) -> AsyncIterator[None]:
    """Run a coroutine while the context is open."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
