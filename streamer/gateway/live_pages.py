"""Routes of what is live: events, readings, the fleet, and the history of a device."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web
from aiokafka.partitioner import DefaultPartitioner

from streamer.gateway.access import Access
from streamer.gateway.answers import authorise, find_token
from streamer.gateway.device_history import DeviceHistory
from streamer.gateway.device_sockets import DeviceSockets
from streamer.gateway.event_stream import StillAllowed, send_events, send_readings
from streamer.gateway.fleet_lag import FleetLag
from streamer.gateway.live_events import LiveEvents
from streamer.gateway.live_readings import LiveReadings, TooManyPartitions
from streamer.gateway.token_file import Grant
from streamer.settings import Settings

log = structlog.get_logger(__name__)

_LISTED: Final = 200
"""Devices that a page lists at most."""

_RETRY_S: Final = 5


@dataclass(frozen=True, slots=True)
class Live:
    """What the gateway reads from Kafka while it runs."""

    events: LiveEvents
    lag: FleetLag
    readings: LiveReadings
    history: DeviceHistory


@asynccontextmanager
async def open_live(settings: Settings, sockets: DeviceSockets) -> AsyncIterator[Live]:
    """Follow events and lag while the context is open, also while Kafka is away."""
    live = Live(
        LiveEvents(settings, sockets),
        FleetLag(settings),
        LiveReadings(settings),
        DeviceHistory(settings),
    )
    tasks = [
        asyncio.create_task(live.events.follow(), name="follow events"),
        asyncio.create_task(live.lag.follow(), name="follow the lag"),
    ]
    for task in tasks:
        task.add_done_callback(_report_fault)
    try:
        yield live
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def add_routes(app: web.Application, settings: Settings, access: Access, live: Live) -> None:
    """Add the routes by which clients follow their devices."""

    def still_allowed(request: web.Request, grant: Grant) -> StillAllowed:
        token = find_token(request)
        return lambda: access.is_valid(token, grant)

    async def events_of_device(request: web.Request) -> web.StreamResponse:
        device_id = request.match_info["device"]
        grant = authorise(request, access, device_id)
        return await send_events(request, live.events.hub, device_id, still_allowed(request, grant))

    async def events_of_all(request: web.Request) -> web.StreamResponse:
        grant = authorise(request, access, None)
        of = grant.device_id if grant.device_id is not None else grant.covers
        return await send_events(request, live.events.hub, of, still_allowed(request, grant))

    async def readings_of_device(request: web.Request) -> web.StreamResponse:
        device_id = request.match_info["device"]
        grant = authorise(request, access, device_id)
        partition = _require_partition(device_id, live)
        try:
            async with live.readings.look(device_id, partition) as arrived:
                return await send_readings(
                    request, live.readings, arrived, still_allowed(request, grant)
                )
        except TooManyPartitions:
            raise _unavailable("the readings of too many devices are looked at") from None

    async def fleet(request: web.Request) -> web.Response:
        grant = authorise(request, access, None)
        view = live.events.fleet
        query = request.query.get("query", "")
        now_ms = round(time.time() * 1000)
        answer = {
            "now": now_ms,
            "trouble": live.lag.trouble,
            "readings_format": settings.readings_format,
            "readings_per_s": live.lag.readings_per_s,
            "lag": live.lag.lag,
            "labels_per_s": live.events.rate(),
            "delay_ms": view.delay_ms(),
        }
        return _fresh(answer | view.summarize(grant.covers, now_ms, query, _LISTED))

    async def history(request: web.Request) -> web.Response:
        device_id = request.match_info["device"]
        authorise(request, access, device_id)
        seen = live.events.fleet.history(device_id)
        partition = _require_partition(device_id, live)
        stretches = await live.history.complete(device_id, partition, seen)
        return _fresh({"stretches": [each.as_json() for each in stretches]})

    async def end_streams(_: web.Application) -> None:
        live.events.hub.close()
        live.readings.close()

    app.on_shutdown.append(end_streams)
    app.router.add_get("/events", events_of_all)
    app.router.add_get("/events/{device}", events_of_device)
    app.router.add_get("/readings/{device}", readings_of_device)
    app.router.add_get("/fleet", fleet)
    app.router.add_get("/history/{device}", history)


def _report_fault(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error(
            "a task of the gateway has ended by a fault of our own; readings are taken as before, "
            "and a restart brings the task back",
            task=task.get_name(),
            error=repr(error),
        )


def _require_partition(device_id: str, live: Live) -> int:
    """Return the partition of a device: where its events are, or else where its key belongs.

    Raises:
        HTTPServiceUnavailable: Kafka has not answered yet.
    """
    if not live.lag.partitions:
        raise _unavailable(live.lag.trouble)
    if (seen := live.events.fleet.partition(device_id)) is not None:
        return seen
    numbers = list(range(live.lag.partitions))
    partition: int = DefaultPartitioner()(device_id.encode(), numbers, numbers)
    return partition


def _fresh(answer: object) -> web.Response:
    return web.json_response(answer, headers={"Cache-Control": "no-store"})


def _unavailable(why: str) -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(reason=why, headers={"Retry-After": str(_RETRY_S)})
