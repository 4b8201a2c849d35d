"""Server-sent events: activity events as they are committed, and readings as they arrive."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import numpy as np
import structlog
from aiohttp import web

from streamer.contracts.readings import ACC, Decoded
from streamer.errors import RegistryError
from streamer.gateway.event_hub import (
    GATEWAY_ENDS,
    EventHub,
    Positions,
    read_positions,
    write_positions,
)
from streamer.gateway.live_readings import Arrived, LiveReadings

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 100
"""Events that are written together."""

_HEARTBEAT_S: Final = 10.0
_WRITE_S: Final = 15.0
"""How long a client may not take what is written to it."""

_SHOWN_HZ: Final = 100
"""Readings a second that are drawn at most."""

StillAllowed = Callable[[], bool]
"""Returns whether the token of a stream is still good."""

WITHDRAWN: Final = "the token was withdrawn"


def last_event_id(request: web.Request) -> dict[int, int] | None:
    """Return where a client has stopped: the header that browsers send, or a parameter.

    Raises:
        HTTPBadRequest: it is not an id of ours.
    """
    text = request.headers.get("Last-Event-ID") or request.query.get("since")
    if not text:
        return None
    try:
        return read_positions(text)
    except ValueError:
        raise web.HTTPBadRequest(
            reason="Last-Event-ID should be the id of an event, such as 0:17,1:4"
        ) from None


async def send_events(
    request: web.Request,
    hub: EventHub,
    of: str | Callable[[str], bool],
    is_allowed: StillAllowed,
) -> web.StreamResponse:
    """Send the events of a device, or of many, until the client goes."""
    since = last_event_id(request)
    await hub.is_current.wait()
    stream = _Stream(request)
    await stream.open()
    with hub.subscribe(of, since) as subscription, suppress(ConnectionError):
        if not since:
            await stream.write(_mark(hub.positions))
        if subscription.missed:
            missed = {"missed": {each: (since or {})[each] for each in subscription.missed}}
            await stream.write(_message(json.dumps(missed).encode(), "gap"))
        while subscription.end is None and is_allowed():
            events = await subscription.take(_AT_ONCE, _HEARTBEAT_S)
            text = b"".join(_message(event.value) for event in events)
            if subscription.has_all:
                text += _mark(hub.positions)
            await stream.write(text)
        why = subscription.end or WITHDRAWN
        await stream.write(_message(json.dumps({"reason": why}).encode(), "end"))
    return stream.response


async def send_readings(
    request: web.Request,
    readings: LiveReadings,
    arrived: Arrived,
    is_allowed: StillAllowed,
) -> web.StreamResponse:
    """Send the acceleration of a device, until the client goes.

    A message has ``t``, milliseconds since the epoch, and ``acc``, three numbers in g for each.
    """
    stream = _Stream(request)
    await stream.open()
    with suppress(ConnectionError):
        while is_allowed() and not readings.is_closed:
            try:
                async with asyncio.timeout(_HEARTBEAT_S):
                    records = await arrived.get()
            except TimeoutError:
                await stream.write(b":\n\n")
                continue
            try:
                # It may ask a schema registry, which must not hold up other clients.
                decoded = await asyncio.to_thread(readings.decode, records)
            except RegistryError as error:
                log.warning("readings cannot be shown", why=str(error))
                continue
            if text := describe_acceleration(decoded):
                await stream.write(_message(text))
        why = GATEWAY_ENDS if readings.is_closed else WITHDRAWN
        await stream.write(_message(json.dumps({"reason": why}).encode(), "end"))
    return stream.response


def describe_acceleration(decoded: Decoded) -> bytes:
    """Return the acceleration of samples as JSON, thinned to what a chart shows; empty if none."""
    rows = np.flatnonzero(decoded.sensors & ACC)
    if not len(rows):
        return b""
    span_s = max(1e-6, float(np.ptp(decoded.time_us[rows])) / 1e6)
    rows = rows[:: max(1, round((len(rows) - 1) / span_s / _SHOWN_HZ))]
    return json.dumps(
        {
            "t": (decoded.time_us[rows] / 1000).round(1).tolist(),
            "acc": decoded.values[rows, :3].round(4).tolist(),
        },
        separators=(",", ":"),
    ).encode()


class _Stream:
    """A response that goes on, and ends when the client does not take it."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                # Some proxies would collect the events otherwise.
                "X-Accel-Buffering": "no",
            }
        )

    async def open(self) -> None:
        await self.response.prepare(self._request)

    async def write(self, text: bytes) -> None:
        """Write messages.

        Raises:
            ConnectionError: the client has gone, or has not taken anything for too long.
        """
        try:
            async with asyncio.timeout(_WRITE_S):
                await self.response.write(text or b":\n\n")
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionAbortedError from None


def _mark(positions: Positions) -> bytes:
    """Return a message without data: it only says where the client is."""
    return f"id: {write_positions(positions)}\n\n".encode()


def _message(data: bytes, name: str = "") -> bytes:
    """Return a message; the data is one line."""
    kind = f"event: {name}\n".encode() if name else b""
    return b"%bdata: %b\n\n" % (kind, data)
