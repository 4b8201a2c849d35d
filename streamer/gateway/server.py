"""Runs the gateway in its process: opens the port, handles signals, drains at the end."""

import asyncio
import ssl
from collections.abc import Callable

import structlog
from aiohttp import web

from streamer import __version__
from streamer.errors import SettingsError
from streamer.gateway.access import Access
from streamer.gateway.app import make_app
from streamer.gateway.device_sockets import DeviceSockets
from streamer.gateway.live_pages import open_live
from streamer.gateway.readings_writer import ReadingsWriter
from streamer.kafka import topics
from streamer.kafka.member import run_until_stopped
from streamer.process import log as logging
from streamer.process.warm_up import warm_up_in_thread
from streamer.process.worker import handle_signals
from streamer.settings import GatewaySettings

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
    access = Access(settings.gateway_tokens)

    async def prepare() -> None:
        if settings.create_topics:
            await topics.ensure(settings)
        else:
            await topics.require(settings)

    sockets = DeviceSockets()
    async with (
        ReadingsWriter(settings, prepare) as writer,
        open_live(settings, sockets) as live,
    ):
        app = make_app(settings, writer, access, sockets, live)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        follow = asyncio.create_task(access.follow())
        try:
            await run_until_stopped(stopping, warm_up_in_thread(settings.readings_format))
            port = await _listen(settings, runner)
            on_port(port)
            log.info("the gateway listens", host=settings.gateway_host, port=port)
            await run_until_stopped(stopping, writer.run_until_failure())
        finally:
            follow.cancel()
            await runner.cleanup()
    log.info("done")


async def _listen(settings: GatewaySettings, runner: web.AppRunner) -> int:
    site = web.TCPSite(
        runner, settings.gateway_host, settings.gateway_port, ssl_context=_ssl_context(settings)
    )
    try:
        await site.start()
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {settings.gateway_host}:{settings.gateway_port}: {error.strerror}; "
            "choose another with --gateway-port, 0 for any free one"
        ) from None
    port: int = runner.addresses[0][1]
    return port


def _ssl_context(settings: GatewaySettings) -> ssl.SSLContext | None:
    if settings.gateway_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.gateway_certificate, settings.gateway_private_key)
    except OSError as error:
        raise SettingsError(
            f"gateway_certificate: cannot use {settings.gateway_certificate}: {error}"
        ) from None
    return context
