"""A connection to an MQTT broker that takes the messages of one subscription with QoS 1.

It is our own because of three things that no client library has together. Messages are taken many
at a time and acknowledged long after that, in order. The socket is not read while many messages
wait: a broker of MQTT 3.1.1 knows no receive maximum, and mosquitto sends more than it allows when
a session goes on; TCP then keeps the messages in the broker. And a message costs 5 us: gmqtt took
27 us, and aiomqtt (paho) 150 us.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from streamer.gateway import mqtt_packets as packets
from streamer.gateway.mqtt_packets import Message, MqttError, Packet, Version

MOST_BYTES: Final = 4_000_000
"""Size of the messages that wait. At half of it the socket is read again."""

KEEP_ALIVE_S: Final = 60
"""The longest silence before the broker takes the client for lost."""

_MESSAGE_BYTES: Final = 400
"""Memory of a message besides its payload and topic, about."""

_CLOSE_S: Final = 2.0
"""How long the broker may take to end a connection."""


class MqttConnection(asyncio.Protocol):
    """A connection; `open_mqtt` makes one.

    Args:
        version: of MQTT.
        longest_packet: bytes of the longest packet that is taken.
    """

    def __init__(self, version: Version, longest_packet: int) -> None:
        self._version: Version = version
        self._longest_packet = longest_packet
        self._received = b""
        self._waiting: deque[Message] = deque()
        self.waiting_bytes = 0
        """Size of the messages that wait."""
        self._news = asyncio.Event()
        self._error: Exception | None = None
        self._acknowledged: list[bytes] = []
        self._is_paused = False
        self._heard = True
        self._ping: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()
        self._pattern = ""
        self._on_subscribed: Callable[[], None] = lambda: None

    async def connect(self, connect_packet: bytes) -> None:
        """Ask the broker to accept the client.

        Raises:
            MqttError: it refuses.
        """
        self._write(connect_packet)
        await self._connected

    def subscribe(self, pattern: str, on_subscribed: Callable[[], None]) -> None:
        """Subscribe; the callback is called when the broker has accepted it.

        The broker sends what it has kept before it answers. If it refuses, `take` raises.
        """
        self._pattern, self._on_subscribed = pattern, on_subscribed
        self._write(packets.write_subscribe(self._version, pattern))

    async def take(self, most: int) -> list[Message]:
        """Return the next messages, at least one, as soon as there are any.

        Raises:
            MqttError: the connection is lost; or what was given to `fail`.
        """
        await self._news.wait()
        if self._error is not None:
            raise self._error
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self.waiting_bytes -= sum(map(_size, taken))
        if not self._waiting:
            self._news.clear()
        if (
            self._is_paused
            and self._transport is not None
            and self.waiting_bytes <= MOST_BYTES // 2
        ):
            self._is_paused, self._heard = False, True
            self._transport.resume_reading()
        return taken

    def acknowledge(self, message: Message) -> None:
        """Acknowledge a message; messages are acknowledged in their order."""
        if message.packet_id == 0 or self._error is not None:
            return
        if not self._acknowledged:
            asyncio.get_running_loop().call_soon(self._send_acknowledged)
        self._acknowledged.append(packets.write_puback(message.packet_id))

    def fail(self, error: Exception) -> None:
        """Give the connection up: `take` raises the error, and nothing is acknowledged any more."""
        if self._error is None:
            self._error = error
            self._acknowledged.clear()
            self._news.set()
            if not self._connected.done():
                self._connected.set_exception(error)
                self._connected.exception()

    async def close(self) -> None:
        """End the connection. The broker keeps the session and what is not acknowledged."""
        self.fail(MqttError("the connection was closed"))
        if self._ping is not None:
            self._ping.cancel()
        if self._transport is None:
            return
        self._write(packets.NORMAL_DISCONNECT)
        self._transport.close()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._closed.wait()
        except TimeoutError:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.fail(MqttError(str(exc or "the broker has closed the connection")))
        self._closed.set()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._heard = True
        try:
            found, self._received = packets.split_packets(
                self._received + data, self._longest_packet
            )
            for packet in found:
                self._receive(packet)
        except MqttError as error:
            self.fail(error)

    def _receive(self, packet: Packet) -> None:
        if packet.type == packets.PUBLISH:
            self._add(packets.read_message(self._version, packet))
        elif not self._connected.done():
            keep_alive_s = packets.read_connack(self._version, packet).keep_alive_s
            self._connected.set_result(None)
            self._send_ping(KEEP_ALIVE_S if keep_alive_s is None else keep_alive_s)
        elif packet.type == packets.SUBACK:
            packets.check_suback(self._version, packet, self._pattern)
            self._on_subscribed()
        elif packet.type == packets.DISCONNECT:
            raise MqttError(packets.describe_disconnect(packet))

    def _add(self, message: Message) -> None:
        self._waiting.append(message)
        self._news.set()
        self.waiting_bytes += _size(message)
        if self.waiting_bytes > MOST_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _write(self, packet: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packet)

    def _send_acknowledged(self) -> None:
        if self._acknowledged:
            self._write(b"".join(self._acknowledged))
            self._acknowledged.clear()

    def _send_ping(self, keep_alive_s: int) -> None:
        """Send PINGREQ twice in the time that the broker allows for silence; notice its silence."""
        if self._error is not None or keep_alive_s == 0:
            return
        if not self._heard and not self._is_paused:
            self.fail(MqttError("the broker does not answer"))
            return
        self._heard = False
        self._write(packets.PINGREQ)
        self._ping = asyncio.get_running_loop().call_later(
            keep_alive_s / 2, self._send_ping, keep_alive_s
        )


@asynccontextmanager
async def open_mqtt(
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    timeout_s: float,
    longest_packet: int,
    version: Version,
    connect_packet: bytes,
) -> AsyncIterator[MqttConnection]:
    """Connect to a broker while the context is open.

    Raises:
        MqttError: the broker does not answer within ``timeout_s``, or refuses the client.
    """
    connection = MqttConnection(version, longest_packet)
    try:
        async with asyncio.timeout(timeout_s):
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: connection, host, port, ssl=tls)
            await connection.connect(connect_packet)
    except (OSError, TimeoutError) as error:
        await connection.close()
        raise MqttError(str(error) or f"no answer within {timeout_s:g} s") from None
    except BaseException:
        await connection.close()
        raise
    try:
        yield connection
    finally:
        await connection.close()


def _size(message: Message) -> int:
    """Return the memory of a message, in bytes, about."""
    return len(message.payload) + len(message.topic) + _MESSAGE_BYTES
