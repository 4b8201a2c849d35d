"""Holds back an MQTT broker: while many messages wait in the gateway, the socket is not read.

A broker of MQTT 3.1.1 knows no receive maximum, and mosquitto sends more than it allows when a
session goes on. TCP then keeps the messages in the broker.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

import aiomqtt

MOST_BYTES: Final = 4_000_000
"""Size of the messages that wait. At half of it the socket is read again."""

_MESSAGE_BYTES: Final = 1000
"""Memory of a message besides its payload and topic, about."""


class MqttBacklog(asyncio.Queue["aiomqtt.Message"]):
    """The queue between a client of aiomqtt and its reader; `hold_back` must be given the client.

    Args:
        on_failure: is called if reading the socket fails.
    """

    def __init__(self, on_failure: Callable[[], None]) -> None:
        super().__init__()
        self._on_failure = on_failure
        self._client: Any = None
        self.bytes = 0
        """Size of the messages that wait."""
        self._is_paused = False

    def for_client(self, maxsize: int) -> "asyncio.Queue[aiomqtt.Message]":  # noqa: ARG002
        """Return this queue, in place of the constructor that aiomqtt calls."""
        return self

    @property
    def queue_type(self) -> "type[asyncio.Queue[aiomqtt.Message]]":
        """What aiomqtt takes for a class of queues."""
        return cast("type[asyncio.Queue[aiomqtt.Message]]", self.for_client)

    def hold_back(self, client: aiomqtt.Client) -> None:
        """Stop reading the socket of this client whenever too much waits here."""
        # aiomqtt has no public way to stop reading.
        self._client = client._client  # noqa: SLF001

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Take a message that was read from the socket; called by aiomqtt."""
        super().put_nowait(item)
        self.bytes += _size(item)
        if self.bytes > MOST_BYTES and not self._is_paused:
            self._is_paused = True
            asyncio.get_running_loop().remove_reader(self._client.socket())

    def get_nowait(self) -> aiomqtt.Message:
        """Return the next message; the socket is read again when enough of them are taken."""
        item = super().get_nowait()
        self.bytes -= _size(item)
        if self._is_paused and self.bytes <= MOST_BYTES // 2:
            self._is_paused = False
            # The connection may be lost by now.
            if (socket := self._client.socket()) is not None:
                asyncio.get_running_loop().add_reader(socket, self._read)
                # TLS may have unpacked bytes that no longer make the socket readable.
                asyncio.get_running_loop().call_soon(self._read)
        return item

    def _read(self) -> None:
        """Read packets, as aiomqtt does when the socket is readable."""
        try:
            self._client.loop_read()
            while not self._is_paused and _has_unpacked(self._client.socket()):
                self._client.loop_read()
        except Exception:  # noqa: BLE001 - as in aiomqtt: the connection is broken, whatever it was
            self._on_failure()


def _has_unpacked(socket: Any) -> bool:
    """Return whether TLS has bytes for us that it has already taken from the socket."""
    return hasattr(socket, "pending") and socket.pending() > 0


def _size(message: aiomqtt.Message) -> int:
    """Return the memory of a message, in bytes."""
    assert isinstance(message.payload, bytes)
    return len(message.payload) + len(message.topic.value) + _MESSAGE_BYTES
