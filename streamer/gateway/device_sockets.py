"""The open WebSockets by device, and what waits to be sent on each."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from aiohttp import web

EVENTS_WAITING: Final = 32
"""Events that wait for a client that reads slowly; then the oldest is dropped."""


class DeviceSocket:
    """Sends what a device is told, one message after the other.

    Args:
        device_id: the device.
        end: takes no more messages of the device, and closes its WebSocket.
    """

    def __init__(self, device_id: str, end: Callable[[], Awaitable[None]]) -> None:
        self.device_id = device_id
        self.end = end
        self._acknowledged = 0
        self._told = 0
        self._errors: deque[dict[str, Any]] = deque()
        self._events: deque[str] = deque(maxlen=EVENTS_WAITING)
        self._something = asyncio.Event()
        self._all_sent = asyncio.Event()
        self._all_sent.set()

    def acknowledge(self, message: int) -> None:
        """Tell the device that its messages up to this one are in Kafka."""
        self._acknowledged = message
        self._something.set()

    def report(self, message: int, error: dict[str, Any]) -> None:
        """Tell the device what is wrong with one of its messages."""
        self._errors.append({"message": message} | error)
        self._something.set()

    def send_event(self, event: bytes | str) -> None:
        """Send an activity event, given as JSON; the oldest one is dropped if many wait."""
        text = event.decode() if isinstance(event, bytes) else event
        self._events.append('{"event": ' + text + "}")
        self._something.set()

    async def send_all(self, socket: web.WebSocketResponse, timeout_s: float) -> None:
        """Send what there is to be sent, without end.

        Raises:
            TimeoutError: the client does not read.
            ConnectionError: the client has gone.
        """
        while True:
            await self._something.wait()
            self._something.clear()
            self._all_sent.clear()
            async with asyncio.timeout(timeout_s):
                for text in self._take():
                    await socket.send_str(text)
            self._all_sent.set()

    async def wait_sent(self) -> None:
        """Wait until what is to be sent now has been sent."""
        while self._something.is_set() or not self._all_sent.is_set():
            await asyncio.sleep(0)
            await self._all_sent.wait()

    def _take(self) -> Iterator[str]:
        while self._errors:
            yield json.dumps(self._errors.popleft())
        if self._acknowledged > self._told:
            self._told = self._acknowledged
            yield f'{{"ack": {self._told}}}'
        while self._events:
            yield self._events.popleft()


class DeviceSockets:
    """The WebSockets that are open now; a device may have several."""

    def __init__(self) -> None:
        self._sockets: defaultdict[str, set[DeviceSocket]] = defaultdict(set)

    def __contains__(self, device_id: object) -> bool:
        return device_id in self._sockets

    def __len__(self) -> int:
        return sum(map(len, self._sockets.values()))

    def add(self, socket: DeviceSocket) -> None:
        """Add a WebSocket that was opened."""
        self._sockets[socket.device_id].add(socket)

    async def end_all(self, patience_s: float) -> None:
        """Close all WebSockets, each after its messages are in Kafka, or when patience ends."""
        ends = [
            asyncio.ensure_future(each.end()) for part in self._sockets.values() for each in part
        ]
        if ends:
            _, late = await asyncio.wait(ends, timeout=patience_s)
            for end in late:
                end.cancel()

    def remove(self, socket: DeviceSocket) -> None:
        """Remove a WebSocket that was closed."""
        self._sockets[socket.device_id].discard(socket)
        if not self._sockets[socket.device_id]:
            del self._sockets[socket.device_id]

    def send_event(self, device_id: str, event: bytes | str) -> None:
        """Send an activity event, given as JSON, on all WebSockets of a device."""
        for socket in self._sockets.get(device_id, ()):
            socket.send_event(event)
