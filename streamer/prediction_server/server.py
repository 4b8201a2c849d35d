"""Runs the prediction server: both protocols, metrics and faults on one port."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder

from streamer.errors import UNDECODABLE, SettingsError
from streamer.predict.quotas import SAGEMAKER_REQUEST_BYTES
from streamer.prediction_server.amazon_ml.server import LOG_PATH, AmazonMLServer, open_amazon_ml
from streamer.prediction_server.endpoint_faults import EndpointFault, EndpointFaults
from streamer.prediction_server.sagemaker_server import SageMakerServer
from streamer.prediction_server.served_model import ServedModel

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(
    amazon_ml: AmazonMLServer, sagemaker: SageMakerServer, faults: EndpointFaults
) -> web.Application:
    """Make the application that answers all requests."""
    registry = CollectorRegistry()
    requests = Counter(
        "streamer_endpoint_requests", "Requests by path and status.", ("path", "status"),
        registry=registry,
    )  # fmt: skip
    seconds = Histogram("streamer_endpoint_seconds", "Duration of requests.", registry=registry)

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        if faults.down and request.path not in {"/faults", "/metrics"}:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=503)
        with seconds.time():
            answer = await handler(request)
        resource = request.match_info.route.resource
        requests.labels(resource.canonical if resource else "other", answer.status).inc()
        return answer

    async def show_metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def show_faults(_: web.Request) -> web.Response:
        return web.json_response([fault.text for fault in faults.faults])

    async def set_faults(request: web.Request) -> web.Response:
        try:
            wanted = msgspec.json.decode(await request.read(), type=list[str])
            faults.set([EndpointFault.parse(text) for text in wanted])
        except (*UNDECODABLE, SettingsError) as error:
            return web.json_response({"error": str(error)}, status=400)
        log.info("faults replaced", faults=[fault.text for fault in faults.faults])
        return await show_faults(request)

    app = web.Application(client_max_size=SAGEMAKER_REQUEST_BYTES, middlewares=[measure])
    app.add_routes(
        [
            web.post("/", amazon_ml.handle),
            web.get(LOG_PATH + "/{kind}/{id}", amazon_ml.show_log),
            web.post("/endpoints/{name}/invocations", sagemaker.invoke_endpoint),
            web.get("/ping", sagemaker.ping),
            web.post("/invocations", sagemaker.invoke_container),
            web.get("/metrics", show_metrics),
            web.get("/faults", show_faults),
            web.put("/faults", set_faults),
        ]
    )
    return app


@asynccontextmanager
async def open_server(
    served: ServedModel,
    host: str,
    port: int,
    faults: Sequence[EndpointFault] = (),
    state: Path | None = None,
) -> AsyncIterator[str]:
    """Serve predictions while the context is open; yields the address of the server.

    Args:
        served: the model that both protocols serve.
        host: address to listen on.
        port: port to listen on; 0 for any free one.
        faults: faults that are active from the start.
        state: the SQLite file that keeps the entities of Amazon ML; None keeps them in memory.

    Raises:
        SettingsError: the server cannot listen at the address.
        DataError: the state cannot be read.
    """
    active = EndpointFaults(faults)
    async with open_amazon_ml(served, active, state) as amazon_ml:
        # A request that hangs ends when its client disconnects.
        runner = web.AppRunner(
            make_app(amazon_ml, SageMakerServer(served, active), active),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=1.0,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            try:
                await site.start()
            except OSError as error:
                raise SettingsError(
                    f"cannot serve predictions on {host}:{port}: {error.strerror}; choose another "
                    "with --port, 0 for any free one"
                ) from None
            [(_, bound, *_)] = runner.addresses
            yield f"http://{host}:{bound}"
        finally:
            await runner.cleanup()


async def serve(
    served: ServedModel,
    host: str,
    port: int,
    faults: Sequence[EndpointFault],
    state: Path | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM. For the arguments see `open_server`."""
    stopping = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stopping.set)
    async with open_server(served, host, port, faults, state) as address:
        log.info(
            "serving predictions",
            address=address,
            model=served.id,
            faults=[fault.text for fault in faults],
            state=str(state) if state else "in memory; --state keeps data sources and models",
        )
        await stopping.wait()
