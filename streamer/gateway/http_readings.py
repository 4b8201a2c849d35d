"""Readings over HTTP: `POST /readings/{device}` and `POST /readings`."""

from aiohttp import web

from streamer.gateway.access import Access
from streamer.gateway.answers import authorise
from streamer.gateway.intake import Intake
from streamer.gateway.readings_check import Candidate

_UNNAMED = ("application/octet-stream", "application/x-www-form-urlencoded", "text/plain")
"""Content types that clients send when their author has named none."""


def add_routes(app: web.Application, access: Access, intake: Intake) -> None:
    """Add the routes by which clients post readings."""

    async def post(request: web.Request) -> web.Response:
        device_id = request.match_info.get("device")
        grant = authorise(request, access, device_id)
        body = await request.read()
        content_type = request.headers.get("Content-Type", "")
        if content_type.partition(";")[0].strip().lower() in _UNNAMED:
            content_type = ""
        candidates = [Candidate(device_id or grant.device_id, body, content_type)]
        await intake.take(grant, candidates)
        return web.json_response({"accepted": len(candidates)})

    app.router.add_post("/readings/{device}", post)
    app.router.add_post("/readings", post)
