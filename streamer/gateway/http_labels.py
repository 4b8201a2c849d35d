"""Ground truth over HTTP: `POST /labels/{device}`, and `GET /labels` for the known activities."""

import time

import msgspec
from aiohttp import web

from streamer.contracts.ground_truth import ActivityLabel, check_label
from streamer.errors import UNDECODABLE, DataError
from streamer.gateway.access import Access
from streamer.gateway.answers import authorise
from streamer.gateway.labels_writer import LabelsWriter
from streamer.gateway.request_bodies import BadRequest, check_device_id, read_body
from streamer.settings import GatewaySettings


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request; the path names the device."""

    start: int
    end: int
    activity: str
    by: str = "device"


_decode = msgspec.json.Decoder(_Body).decode


def add_routes(
    app: web.Application, settings: GatewaySettings, access: Access, writer: LabelsWriter
) -> None:
    """Add the routes by which clients say what a device really did."""

    async def post(request: web.Request) -> web.Response:
        named = request.match_info["device"]
        authorise(request, access, named)
        device_id = check_device_id(named)
        body = await read_body(request, settings.gateway_request_timeout_s)
        await writer.write(_read_label(device_id, body, settings))
        return web.json_response({"accepted": 1})

    async def activities(request: web.Request) -> web.Response:
        authorise(request, access, None)
        return web.json_response({"activities": settings.known_activities})

    async def close(_: web.Application) -> None:
        await writer.close()

    app.on_cleanup.append(close)
    app.router.add_post("/labels/{device}", post)
    app.router.add_get("/labels", activities)


def _read_label(device_id: str, body: bytes, settings: GatewaySettings) -> ActivityLabel:
    try:
        given = _decode(body)
        label = ActivityLabel(
            device_id=device_id,
            start=given.start,
            end=given.end,
            activity=given.activity,
            by=given.by,
        )
        return check_label(label, settings.known_activities, time.time_ns() // 1_000_000)
    except UNDECODABLE as error:
        raise BadRequest(
            f"the body is not a label, such as "
            f'{{"start": 1763906400000, "end": 1763906460000, "activity": "walking"}}: {error}'
        ) from None
    except DataError as error:
        raise BadRequest(str(error)) from None
