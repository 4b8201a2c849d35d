"""Readings over HTTP: `POST /readings/{device}` and `POST /readings`."""

from aiohttp import web

from streamer.gateway.access import Access
from streamer.gateway.answers import ERRORS, authorise, describe
from streamer.gateway.intake import Intake
from streamer.gateway.readings_check import Candidate
from streamer.gateway.request_bodies import (
    BadRequest,
    check_device_id,
    find_format,
    read_body,
    split,
    split_lines,
)
from streamer.gateway_metrics import GatewayMetrics
from streamer.profiles.profile import CONTRACT
from streamer.settings import GatewaySettings


def add_routes(
    app: web.Application,
    settings: GatewaySettings,
    access: Access,
    intake: Intake,
    metrics: GatewayMetrics,
) -> None:
    """Add the routes by which clients post readings."""

    async def post(request: web.Request) -> web.Response:
        try:
            named = request.match_info.get("device")
            grant = authorise(request, access, named)
            device_id = check_device_id(named) if named is not None else grant.device_id
            candidates = await _read_candidates(request, settings, device_id)
            await (await intake.submit("http", grant, candidates))
        except ERRORS as error:
            metrics.readings.labels("http", describe(error)[1]).inc()
            raise
        return web.json_response({"accepted": len(candidates)})

    app.router.add_post("/readings/{device}", post)
    app.router.add_post("/readings", post)


async def _read_candidates(
    request: web.Request, settings: GatewaySettings, device_id: str | None
) -> list[Candidate]:
    """Return the readings in the body of a request.

    Raises:
        BadRequest: there is none, there are too many, or their format is not known.
    """
    is_contract = settings.readings_format == CONTRACT
    form, is_lines = find_format(request.headers.get("Content-Type", ""), any_other=not is_contract)
    body = await read_body(request, settings.gateway_request_timeout_s)
    if is_lines:
        values = split_lines(body)
    elif is_contract:
        values = split(body, form)
    else:
        values = [body]  # Only its profile knows what an array in another format means.
    if not values:
        raise BadRequest("the request has no reading")
    if len(values) > settings.gateway_max_readings:
        raise BadRequest(
            f"the request has {len(values)} readings, more than {settings.gateway_max_readings}; "
            "send them in several requests",
            413,
        )
    return [Candidate(device_id, value, form) for value in values]
