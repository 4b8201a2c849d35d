"""`/healthz`, `/readyz` and `/metrics` of the gateway."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from streamer.gateway.access import Access, Forbidden
from streamer.gateway.answers import authorise
from streamer.gateway.readings_writer import ReadingsWriter
from streamer.gateway_metrics import GatewayMetrics


def add_routes(
    app: web.Application,
    access: Access,
    writer: ReadingsWriter,
    metrics: GatewayMetrics,
    mqtt_trouble: Callable[[], str | None],
) -> None:
    """Add the pages that a balancer and an operator look at.

    A gateway without its MQTT broker is ready: other protocols work.

    Metrics need a token that is good for all devices, where tokens are used.
    """

    async def healthz(_: web.Request) -> web.Response:
        # It answers 200 whatever is wrong: a restart would not cure trouble with Kafka.
        return web.json_response({"alive": True, "trouble": writer.trouble or mqtt_trouble()})

    async def readyz(_: web.Request) -> web.Response:
        reason = writer.trouble
        answer = {"ready": reason is None, "reason": reason}
        return web.json_response(answer, status=200 if reason is None else 503)

    async def show_metrics(request: web.Request) -> web.Response:
        if not authorise(request, access, None).is_everything:
            raise Forbidden("metrics need a token that is good for all devices")
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(metrics.registry), headers={"Content-Type": content_type})

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", show_metrics)
