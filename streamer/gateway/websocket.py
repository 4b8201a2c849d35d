"""Readings over a WebSocket of a device: `/ws/{device}`.

Messages of the client are readings, numbered from 1. The gateway answers with `{"ack": n}`: the
messages up to n are in Kafka, but for those that it has answered with an error.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from streamer.contracts.readings import Format
from streamer.gateway.access import Access
from streamer.gateway.answers import ERRORS, authorise, describe, find_token
from streamer.gateway.device_sockets import DeviceSocket, DeviceSockets
from streamer.gateway.intake import Intake
from streamer.gateway.readings_check import Candidate
from streamer.gateway.request_bodies import BadRequest, check_device_id
from streamer.gateway.token_file import Grant
from streamer.gateway_metrics import GatewayMetrics
from streamer.settings import GatewaySettings

SUBPROTOCOL: Final = "streamer"
UNACKNOWLEDGED: Final = 64
"""Messages of a WebSocket that may wait for Kafka; then no more are read until one is done."""

_SEND_S: Final = 10.0
"""Time that a client has for reading what it is sent."""

_HEARTBEAT_S: Final = 30.0
_CLOSE_S: Final = 2.0
"""Time that a client has for answering that a WebSocket is closed."""


def add_routes(
    app: web.Application,
    settings: GatewaySettings,
    access: Access,
    intake: Intake,
    sockets: DeviceSockets,
    metrics: GatewayMetrics,
) -> None:
    """Add the route of WebSockets. ``sockets`` gets those that are open."""

    async def open_socket(request: web.Request) -> web.WebSocketResponse:
        device_id = check_device_id(request.match_info["device"])
        token = find_token(request)
        grant = authorise(request, access, device_id)
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            heartbeat=_HEARTBEAT_S,
            max_msg_size=settings.gateway_max_body_bytes,
            timeout=_CLOSE_S,
            compress=False,
        )
        binary = _binary_of(request)
        await socket.prepare(request)
        assert request.transport is not None
        conversation = _Conversation(
            socket, request.transport, device_id, intake, grant, binary, metrics
        )
        sockets.add(conversation.outgoing)
        try:
            await conversation.run(
                settings.gateway_idle_timeout_s, lambda: access.is_valid(token, grant)
            )
        finally:
            sockets.remove(conversation.outgoing)
        return socket

    app.router.add_get("/ws/{device}", open_socket)


def _binary_of(request: web.Request) -> Format:
    """Return the format of binary messages."""
    name = request.query.get("format", Format.F32.value)
    try:
        return Format(name)
    except ValueError:
        raise BadRequest(
            f"format={name!r:.20} is not known; binary messages are f32, msgpack or json"
        ) from None


class _Conversation:
    """Takes the readings of one WebSocket in their order, and tells its client of them."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        device_id: str,
        intake: Intake,
        grant: Grant,
        binary: Format,
        metrics: GatewayMetrics,
    ) -> None:
        self.outgoing = DeviceSocket(device_id, self._end)
        self._socket = socket
        self._transport = transport
        self._intake = intake
        self._grant = grant
        self._binary = binary
        self._metrics = metrics
        self._unacknowledged: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._done = asyncio.Event()
        """Is set for a moment whenever a message is done."""
        self._is_ending = False
        self._ended = asyncio.Event()

    async def run(self, idle_s: float, is_allowed: Callable[[], bool]) -> None:
        """Take readings until the client or the gateway closes the WebSocket.

        Args:
            idle_s: longest time between two messages.
            is_allowed: whether the client's token is still good; asked for each message.
        """
        sender = asyncio.create_task(self.outgoing.send_all(self._socket, _SEND_S))
        sender.add_done_callback(self._cut_off)
        try:
            await self._take_all(idle_s, is_allowed)
        finally:
            sender.cancel()
            with suppress(asyncio.CancelledError, TimeoutError, ConnectionError):
                await sender

    async def _take_all(self, idle_s: float, is_allowed: Callable[[], bool]) -> None:
        number = 0
        while True:
            try:
                message = await self._socket.receive(timeout=idle_s)
            except TimeoutError:
                await self._close(WSCloseCode.POLICY_VIOLATION, f"no message within {idle_s:g} s")
                return
            if self._is_ending:
                await self._ended.wait()  # It closes the WebSocket with the right code.
                return
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            if not is_allowed():
                await self._close(WSCloseCode.POLICY_VIOLATION, "the token was withdrawn")
                return
            number += 1
            await self._take(number, message)
            while len(self._unacknowledged) >= UNACKNOWLEDGED:
                await self._done.wait()

    async def _take(self, number: int, message: WSMessage) -> None:
        is_text = message.type is WSMsgType.TEXT
        value = message.data.encode() if is_text else message.data
        form = Format.JSON if is_text else self._binary
        candidate = Candidate(self.outgoing.device_id, value, form)
        # While there is no room, no more is read of the client.
        await self._intake.wait_room()
        try:
            future = await self._intake.submit("websocket", self._grant, [candidate])
        except ERRORS as error:
            future = asyncio.get_running_loop().create_future()
            future.set_exception(error)
            future.exception()
        self._unacknowledged.append((number, future))
        future.add_done_callback(self._tell)

    def _tell(self, _: "asyncio.Future[None]") -> None:
        """Tell the client of the messages that are done, up to the first that is not."""
        while self._unacknowledged and self._unacknowledged[0][1].done():
            number, future = self._unacknowledged.popleft()
            if (error := future.exception()) is None:
                self.outgoing.acknowledge(number)
            else:
                outcome, answer = describe(error)[1:]
                self._metrics.readings.labels("websocket", outcome).inc()
                self.outgoing.report(number, answer)
        self._done.set()
        self._done.clear()

    async def _end(self) -> None:
        """Take no more messages, tell of those that were taken, and close: the gateway stops."""
        self._is_ending = True
        while self._unacknowledged:
            await self._done.wait()
        await self.outgoing.wait_sent()
        await self._close(WSCloseCode.GOING_AWAY, "the gateway stops; connect again")
        self._ended.set()

    async def _close(self, code: WSCloseCode, reason: str) -> None:
        with suppress(ConnectionError):
            await self._socket.close(code=code, message=reason.encode())

    def _cut_off(self, sender: "asyncio.Task[None]") -> None:
        """Cut off a client that does not read what it is sent."""
        if not sender.cancelled():
            self._transport.abort()
