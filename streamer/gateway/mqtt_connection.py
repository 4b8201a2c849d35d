"""A connection to an MQTT broker that takes the messages of one subscription with QoS 1.

paho speaks the protocol, and the event loop reads and writes its socket. Messages are taken many at
a time, and acknowledged later. The socket is not read while many messages wait: a broker of MQTT
3.1.1 knows no receive maximum, and mosquitto sends more than it allows when a session goes on. TCP
then keeps the messages in the broker.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from streamer.gateway.mqtt_client import Message, MqttClient, MqttError, describe_client

MOST_BYTES: Final = 4_000_000
"""Size of the messages that wait. At half of it the socket is read again."""

KEEP_ALIVE_S: Final = 30
"""The longest silence before the broker takes the client for lost."""

_CONNECT_S: Final = 5.0
"""How long the broker may take to accept a connection."""

_CHECK_S: Final = 1.0
"""How often paho looks whether the broker is still there."""

_MESSAGE_BYTES: Final = 400
"""Memory of a message besides its payload and topic, about."""

_AT_ONCE: Final = 100
"""Messages that are read before the event loop does something else."""

_NEVER_RETAINED: Final = 2
"""Retained messages are old: the broker must not send them with each subscription."""


class MqttConnection:
    """A connection; `open_mqtt` makes one.

    Args:
        client: what the broker is told.
        tls: with which the connection is encrypted; None if it is not.
    """

    def __init__(self, client: MqttClient, tls: ssl.SSLContext | None) -> None:
        self._description = client
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Message] = deque()
        self.waiting_bytes = 0
        """Size of the messages that wait."""
        self._news = asyncio.Event()
        self._error: Exception | None = None
        self._is_paused = False
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._pattern = ""
        self._on_subscribed: Callable[[], None] = lambda: None
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client.client_id,
            clean_session=None if client.version == "5" else False,
            protocol=paho.MQTTv5 if client.version == "5" else paho.MQTTv311,
            manual_ack=True,
        )
        self._client.connect_timeout = _CONNECT_S
        if client.username is not None:
            self._client.username_pw_set(client.username, client.password)
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect

    async def connect(self, host: str, port: int) -> None:
        """Connect, and ask the broker to accept the client.

        Raises:
            MqttError: it refuses.
            OSError: nothing accepts the connection.
        """
        await asyncio.to_thread(self._connect_in_thread, host, port)
        self._client.on_socket_close = self._on_socket_close
        self._client.on_socket_register_write = self._on_socket_register_write
        self._client.on_socket_unregister_write = self._on_socket_unregister_write
        self._begin_reading()
        await self._connected

    def subscribe(self, pattern: str, on_subscribed: Callable[[], None]) -> None:
        """Subscribe; the callback is called when the broker has accepted it.

        The broker sends what it has kept before it answers. If it refuses, `take` raises.
        """
        self._pattern, self._on_subscribed = pattern, on_subscribed
        if self._description.version == "5":
            options = SubscribeOptions(qos=1, retainHandling=_NEVER_RETAINED)
            self._client.subscribe(pattern, options=options)
        else:
            self._client.subscribe(pattern, qos=1)

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
        if self._is_paused and self.waiting_bytes <= MOST_BYTES // 2:
            self._is_paused = False
            self._begin_reading()
        return taken

    def acknowledge(self, message: Message) -> None:
        """Acknowledge a message; messages are acknowledged in their order."""
        if self._error is None:
            self._client.ack(message.packet_id, message.qos)

    def fail(self, error: Exception) -> None:
        """Give the connection up: `take` raises the error, and nothing is acknowledged any more."""
        if self._error is None:
            self._error = error
            self._news.set()
            if not self._connected.done():
                self._connected.set_exception(error)
                self._connected.exception()

    async def keep_alive(self) -> None:
        """Notice a broker that is silent, until the connection is lost."""
        while self._error is None:
            self._client.loop_misc()
            await asyncio.sleep(_CHECK_S)

    def close(self) -> None:
        """End the connection. The broker keeps the session and what is not acknowledged."""
        self.fail(MqttError("the connection was closed"))
        if self._client.socket() is None:
            return
        self._client.disconnect()
        self._client.loop_write()
        # It is still open if the broker does not read.
        if (left := self._client.socket()) is not None:
            self._loop.remove_reader(left)
            self._loop.remove_writer(left)
            left.close()

    def _connect_in_thread(self, host: str, port: int) -> None:
        """Open the socket: paho connects, and makes the TLS handshake, without an event loop."""
        if self._description.version == "5":
            properties = describe_client(self._description)
            self._client.connect(host, port, KEEP_ALIVE_S, clean_start=False, properties=properties)
        else:
            self._client.connect(host, port, KEEP_ALIVE_S)
        if self._error is not None:
            # Nobody waits for the connection any more.
            self._client.disconnect()

    def _begin_reading(self) -> None:
        if (opened := self._client.socket()) is not None:
            self._loop.add_reader(opened, self._read)
            # TLS may have unpacked bytes that no longer make the socket readable.
            self._loop.call_soon(self._read)

    def _stop_reading(self) -> None:
        if (opened := self._client.socket()) is not None:
            self._loop.remove_reader(opened)

    def _read(self) -> None:
        """Read packets; paho reads one at a time."""
        for _ in range(_AT_ONCE):
            opened = self._client.socket()
            if opened is None or self._is_paused:
                return
            before = len(self._waiting)
            try:
                self._client.loop_read()
            except Exception as error:  # noqa: BLE001 - whatever its parser meets
                # What comes next would be read without end until the connection is closed.
                self._stop_reading()
                self.fail(MqttError(f"the broker does not follow the protocol: {error!r}"))
                return
            if len(self._waiting) == before and not _has_unpacked(opened):
                return
        self._loop.call_soon(self._read)

    def _on_socket_close(self, _client: paho.Client, _data: Any, closed: Any) -> None:
        self._loop.remove_reader(closed)

    def _on_socket_register_write(self, _client: paho.Client, _data: Any, opened: Any) -> None:
        self._loop.add_writer(opened, self._client.loop_write)

    def _on_socket_unregister_write(self, _client: paho.Client, _data: Any, opened: Any) -> None:
        self._loop.remove_writer(opened)

    def _on_connect(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _: Any
    ) -> None:
        if reason.is_failure:
            self.fail(MqttError(f"the broker refuses the client: {reason}"))
        elif not self._connected.done():
            self._connected.set_result(None)

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _id: int, reasons: list[ReasonCode], _: Any
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                self.fail(
                    MqttError(f"the broker refuses the subscription to {self._pattern}: {reason}")
                )
                return
        self._on_subscribed()

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        if message.retain:
            self._client.ack(message.mid, message.qos)  # It is older than the subscription.
            return
        content_type = getattr(message.properties, "ContentType", "")
        found = Message(
            _topic_of(message), bytes(message.payload), message.mid, message.qos, content_type
        )
        self._waiting.append(found)
        self._news.set()
        self.waiting_bytes += _size(found)
        if self.waiting_bytes > MOST_BYTES and not self._is_paused:
            self._is_paused = True
            self._stop_reading()

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, flags: Any, reason: ReasonCode, _: Any
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self.fail(MqttError(f"the broker ends the connection: {reason}"))
        else:
            self.fail(MqttError("the connection is lost"))


@asynccontextmanager
async def open_mqtt(
    host: str, port: int, client: MqttClient, tls: ssl.SSLContext | None, timeout_s: float
) -> AsyncIterator[MqttConnection]:
    """Connect to a broker while the context is open.

    Raises:
        MqttError: the broker does not answer within ``timeout_s``, or refuses the client.
    """
    connection = MqttConnection(client, tls)
    try:
        try:
            async with asyncio.timeout(timeout_s):
                await connection.connect(host, port)
        except (OSError, TimeoutError) as error:
            raise MqttError(str(error) or f"no answer within {timeout_s:g} s") from None
        keeping = asyncio.create_task(connection.keep_alive())
        try:
            yield connection
        finally:
            keeping.cancel()
    finally:
        connection.close()


def _topic_of(message: paho.MQTTMessage) -> str:
    """Return the topic of a message; bytes that are not UTF-8, which is forbidden, are escaped."""
    try:
        return message.topic
    except UnicodeDecodeError as error:  # Some brokers pass it on.
        return error.object.decode(errors="surrogateescape")


def _has_unpacked(opened: Any) -> bool:
    """Return whether TLS has bytes for us that it has already taken from the socket."""
    return isinstance(opened, ssl.SSLSocket) and opened.pending() > 0


def _size(message: Message) -> int:
    """Return the memory of a message, in bytes, about."""
    return len(message.payload) + len(message.topic) + _MESSAGE_BYTES
