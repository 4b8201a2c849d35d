"""`/healthz` and `/readyz` of the gateway."""

from aiohttp import web

from streamer.gateway.readings_writer import ReadingsWriter


def add_routes(app: web.Application, writer: ReadingsWriter) -> None:
    """Add the pages that a balancer and an operator look at."""

    async def healthz(_: web.Request) -> web.Response:
        # It answers 200 whatever is wrong: a restart would not cure trouble with Kafka.
        return web.json_response({"alive": True, "trouble": writer.trouble})

    async def readyz(_: web.Request) -> web.Response:
        reason = writer.trouble
        answer = {"ready": reason is None, "reason": reason}
        return web.json_response(answer, status=200 if reason is None else 503)

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
