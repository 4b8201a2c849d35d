"""Simulated phones: they send readings over a WebSocket or MQTT, and note which labels come back.

They cost little, because they share the machine with what they measure: samples are encoded once, a
batch is one message, and one loop sends for all of them.
"""

import asyncio
import contextlib
import heapq
import math
import random
import re
import struct
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from tests.support.mqtt import publish_packet

STEP_MS: Final = 20.0
WINDOW: Final = 128
RECONNECT_S: Final = (0.5, 1.5)
TICK_S: Final = 0.002


class _Glance(msgspec.Struct):
    window_start: int


class _Told(msgspec.Struct):
    """What a gateway says on a WebSocket."""

    ack: int = 0
    message: int = 0
    event: _Glance | None = None


_told = msgspec.json.Decoder(_Told)


class Phone:
    """A phone: what it has measured, what was acknowledged, and which labels have come."""

    def __init__(self, number: int, samples: bytes, batch: int, token: str) -> None:
        self.device_id = f"phone-{number:04d}"
        self.token = token
        self.acknowledged: set[float] = set()
        """Times of the first samples of batches."""
        self.labels: list[tuple[float, int]] = []
        """When a label came, and the nominal start of its window; milliseconds since the epoch."""
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.refused = 0
        self.is_open = False
        self.protocol = "websocket"
        self._samples = samples
        self._batch = batch
        self._taken = 0

    def begin(self, at_ms: float) -> None:
        """Take the first sample at a time."""
        self.begin_ms = at_ms

    @property
    def due_ms(self) -> float:
        """When the next batch is full."""
        return self.begin_ms + STEP_MS * (self._taken + self._batch - 1)

    def take_batch(self) -> bytes:
        """Return the next batch, which waits for its acknowledgement from now on."""
        at_ms = self.begin_ms + STEP_MS * self._taken
        begin = 24 * self._taken % (len(self._samples) - 24 * self._batch)
        block = struct.pack("<HHIdd", 1, 3, self._batch, at_ms, STEP_MS)
        block += self._samples[begin : begin + 24 * self._batch]
        self._taken += self._batch
        self.waiting.append((at_ms, block))
        return block

    def acknowledge_first(self) -> None:
        """Note that the oldest batch was acknowledged."""
        self.acknowledged.add(self.waiting.popleft()[0])

    def label(self, window_start: int) -> None:
        """Note a label that has just come."""
        self.labels.append((time.time() * 1000, window_start))

    def last_sample_ms(self, window_start: int) -> float:
        """Return when the last sample of a window was taken."""
        first = math.ceil((window_start - self.begin_ms) / STEP_MS)
        return self.begin_ms + STEP_MS * (first + WINDOW - 1)

    def latencies_ms(self, begin_ms: float, end_ms: float) -> list[float]:
        """Return how long the labels took whose last sample is from a stretch of time."""
        return [
            at_ms - last_ms
            for at_ms, window_start in self.labels
            if begin_ms <= (last_ms := self.last_sample_ms(window_start)) < end_ms
        ]


class Connection(asyncio.Protocol):
    """A connection that is opened again whenever it is lost."""

    def __init__(self, phone: Phone, port: int) -> None:
        self.phone = phone
        self.port = port
        self.buffer = b""
        self.transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()

    async def keep(self) -> None:
        """Connect, again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._lost.clear()
            with contextlib.suppress(OSError):
                await loop.create_connection(lambda: self, "127.0.0.1", self.port)
                await self._lost.wait()
            self.transport = None
            await asyncio.sleep(random.uniform(*RECONNECT_S))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer = transport, b""
        self.greet(transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self.close()
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.read()

    def greet(self, transport: asyncio.Transport) -> None:
        """Write what opens the conversation."""
        raise NotImplementedError

    def read(self) -> None:
        """Take what is whole from the buffer."""
        raise NotImplementedError

    def close(self) -> None:
        """Note that the connection is lost."""


class WebSocket(Connection):
    """Sends readings, and gets acknowledgements and labels."""

    def greet(self, transport: asyncio.Transport) -> None:
        transport.write(
            f"GET /ws/{self.phone.device_id} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            f"Authorization: Bearer {self.phone.token}\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        self._acknowledged = 0
        self._is_upgraded = False

    def send(self, block: bytes) -> None:
        if self.transport is not None and self._is_upgraded:
            size = len(block)
            head = (
                bytes([0x82, 0x80 | size]) if size < 126 else b"\x82\xfe" + size.to_bytes(2, "big")
            )
            self.transport.write(head + bytes(4) + block)

    def read(self) -> None:
        if not self._is_upgraded:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                assert self.transport is not None
                self.transport.abort()
                return
            self.buffer, self._is_upgraded, self.phone.is_open = rest, True, True
            for _, block in self.phone.waiting:
                self.send(block)
        while self._is_upgraded and len(self.buffer) >= 2:
            size, begin = self.buffer[1], 2
            if size == 126:
                size, begin = int.from_bytes(self.buffer[2:4], "big"), 4
            if len(self.buffer) < begin + size or begin + size < 4:
                return
            kind, frame = self.buffer[0] & 15, self.buffer[begin : begin + size]
            self.buffer = self.buffer[begin + size :]
            if kind == 1:
                self._hear(_told.decode(frame))
            elif kind == 8 and self.transport is not None:
                self.transport.abort()

    def _hear(self, told: _Told) -> None:
        if told.event is not None:
            self.phone.label(told.event.window_start)
        while self._acknowledged < told.ack:
            self._acknowledged += 1
            self.phone.acknowledge_first()
        if told.message and self.transport is not None:
            # It is to be sent again, and what comes after it too, to keep the order. A later
            # acknowledgement would not be one of this message.
            self.phone.refused += 1
            self.close()
            self.transport.abort()

    def close(self) -> None:
        self.phone.is_open = self._is_upgraded = False


class Mqtt(Connection):
    """Publishes readings with QoS 1, in MQTT 3.1.1."""

    def __init__(self, phone: Phone, port: int) -> None:
        super().__init__(phone, port)
        phone.protocol = "mqtt"

    def greet(self, transport: asyncio.Transport) -> None:
        name = self.phone.device_id.encode()
        body = b"\0\4MQTT\4\2\0\0" + len(name).to_bytes(2, "big") + name
        transport.write(bytes([0x10, len(body)]) + body)
        self._number = 0
        self._topic = f"devices/{self.phone.device_id}/readings".encode()
        for _, block in self.phone.waiting:
            self.send(block)

    def send(self, block: bytes) -> None:
        if self.transport is None:
            return
        self._number = self._number % 65535 + 1
        self.transport.write(publish_packet(self._topic, self._number, block))

    def read(self) -> None:
        while len(self.buffer) >= 4:  # CONNACK and PUBACK have four bytes
            if self.buffer[0] == 0x40:
                self.phone.acknowledge_first()
            self.buffer = self.buffer[4:]


class Events(Connection):
    """Follows the events of a phone over HTTP, and goes on where it was."""

    last_id = b""

    def greet(self, transport: asyncio.Transport) -> None:
        since = b"Last-Event-ID: " + self.last_id + b"\r\n" if self.last_id else b""
        transport.write(
            f"GET /events/{self.phone.device_id} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {self.phone.token}\r\n".encode()
            + since
            + b"\r\n"
        )

    def read(self) -> None:
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            if line.startswith(b"HTTP/1.1 200"):
                self.phone.is_open = True
            elif line.startswith(b"id: "):
                self.last_id = line[4:]
            elif found := re.search(rb'data: .*"window_start":(\d+)', line):
                self.phone.label(int(found[1]))

    def close(self) -> None:
        self.phone.is_open = False


async def send_all(connections: Sequence[WebSocket | Mqtt]) -> None:
    """Send the batches of all phones when they are full, until cancelled."""
    due = [(each.phone.due_ms, number) for number, each in enumerate(connections)]
    heapq.heapify(due)
    while True:
        await asyncio.sleep(max(TICK_S, due[0][0] / 1000 - time.time()))
        now_ms = 1000 * time.time()
        while due[0][0] <= now_ms:
            connection = connections[due[0][1]]
            connection.send(connection.phone.take_batch())
            heapq.heapreplace(due, (connection.phone.due_ms, due[0][1]))
