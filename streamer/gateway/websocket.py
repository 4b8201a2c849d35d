"""Readings over a WebSocket of a device: `/ws/{device}`.

Messages of the client are readings, numbered from 1. The gateway answers with `{"ack": n}`: the
messages up to n are in Kafka, but for those that it has answered with an error.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from streamer.contracts.readings import CONTENT_TYPES, Format
from streamer.gateway.access import Access
from streamer.gateway.answers import ERRORS, authorise, describe
from streamer.gateway.device_sockets import DeviceSocket, DeviceSockets
from streamer.gateway.intake import Intake
from streamer.gateway.readings_check import Candidate
from streamer.gateway.token_file import Grant
from streamer.settings import GatewaySettings

SUBPROTOCOL: Final = "streamer"
UNACKNOWLEDGED: Final = 64
"""Messages of a WebSocket that may wait for Kafka; then no more are read until one is done."""

_SEND_S: Final = 10.0
"""Time that a client has for reading what it is sent."""

_HEARTBEAT_S: Final = 30.0


def add_routes(
    app: web.Application,
    settings: GatewaySettings,
    access: Access,
    intake: Intake,
    sockets: DeviceSockets,
) -> None:
    """Add the route of WebSockets. ``sockets`` has those that are open."""

    async def open_socket(request: web.Request) -> web.WebSocketResponse:
        device_id = request.match_info["device"]
        grant = authorise(request, access, device_id)
        binary = Format(request.query.get("format", Format.F32))
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            heartbeat=_HEARTBEAT_S,
            max_msg_size=settings.gateway_max_body_bytes,
        )
        await socket.prepare(request)
        outgoing = DeviceSocket(device_id)
        sockets.add(outgoing)
        sender = asyncio.create_task(outgoing.send_all(socket, _SEND_S))
        try:
            await _Conversation(socket, outgoing, intake, grant, binary).run()
        finally:
            sockets.remove(outgoing)
            sender.cancel()
            with suppress(asyncio.CancelledError, TimeoutError, ConnectionError):
                await sender
        return socket

    app.router.add_get("/ws/{device}", open_socket)


class _Conversation:
    """Takes the readings of one WebSocket in their order."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        outgoing: DeviceSocket,
        intake: Intake,
        grant: Grant,
        binary: Format,
    ) -> None:
        self._socket = socket
        self._outgoing = outgoing
        self._intake = intake
        self._grant = grant
        self._binary = CONTENT_TYPES[binary].decode()
        self._unacknowledged: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Take readings until the client or the gateway closes the WebSocket."""
        number = 0
        while True:
            message = await self._socket.receive()
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            number += 1
            await self._take(number, message)
            while len(self._unacknowledged) >= UNACKNOWLEDGED:
                self._room.clear()
                await self._room.wait()
        if self._socket.close_code is None:
            await self._socket.close(code=WSCloseCode.GOING_AWAY)

    async def _take(self, number: int, message: WSMessage) -> None:
        is_text = message.type is WSMsgType.TEXT
        value = message.data.encode() if is_text else message.data
        candidate = Candidate(self._outgoing.device_id, value, "" if is_text else self._binary)
        try:
            [future] = await self._intake.submit(self._grant, [candidate])
        except ERRORS as error:
            future = asyncio.get_running_loop().create_future()
            future.set_exception(error)
            future.exception()
        self._unacknowledged.append((number, future))
        future.add_done_callback(self._tell)

    def _tell(self, _: asyncio.Future[None]) -> None:
        """Tell the client of the messages that are done, up to the first that is not."""
        while self._unacknowledged and self._unacknowledged[0][1].done():
            number, future = self._unacknowledged.popleft()
            if (error := future.exception()) is None:
                self._outgoing.acknowledge(number)
            else:
                assert isinstance(error, ERRORS)
                self._outgoing.report(number, describe(error)[1])
        self._room.set()
