"""Readings from an MQTT broker: a message is acknowledged when Kafka has its reading.

The broker keeps what is not acknowledged, and sends it again after a reconnection, in order. So
when Kafka does not take a reading, the connection is given up, and made again a little later.
"""

import asyncio
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog

from streamer.contracts.readings import CONTENT_TYPES, LONGEST_DEVICE_ID, Format
from streamer.gateway.access import EVERYONE
from streamer.gateway.answers import describe
from streamer.gateway.intake import Intake
from streamer.gateway.mqtt_client import Message, MqttClient, MqttError
from streamer.gateway.mqtt_connection import MqttConnection, open_mqtt
from streamer.gateway.reading_queue import Busy
from streamer.gateway.readings_check import Candidate
from streamer.gateway_metrics import GatewayMetrics
from streamer.printable import printable
from streamer.settings import GatewaySettings
from streamer.settings.gateway import DEVICE_LEVEL
from streamer.tls import client_context

log = structlog.get_logger(__name__)

_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 30.0
_STABLE_S: Final = 60.0
"""A connection that lasts so long is a good one: after it the next wait is short again."""

SESSION_S: Final = 3600
"""Time for which a broker of MQTT 5 keeps the messages of a gateway that is away."""

_ANSWER_S: Final = 60.0
"""How long the broker may take to answer: it sends what it has kept before."""

_LOG_EVERY_S: Final = 10.0
"""Time between two log lines about messages that cannot be used."""

_TOPIC_BYTES: Final = 70_000
"""Room for the longest topic and the properties of a message."""

_AT_ONCE: Final = 100
"""Messages that are checked together at most. A turn of the event loop then takes milliseconds, so
what a broker has kept does not delay other clients."""

_FORMATS: Final = {name.decode(): form for form, name in CONTENT_TYPES.items()}


class _NoRoom(Exception):  # noqa: N818 - it is no error
    """Kafka does not take a reading."""


class MqttReadings:
    """Takes readings from the broker of the settings.

    Raises:
        SettingsError: the CA certificates cannot be read.
    """

    def __init__(self, settings: GatewaySettings, intake: Intake, metrics: GatewayMetrics) -> None:
        assert settings.mqtt_broker is not None
        self._settings = settings
        self._intake = intake
        self._metrics = metrics
        self._format = Format(settings.mqtt_format)
        self._level = settings.mqtt_topic.split("/").index(DEVICE_LEVEL)
        self._tls = (
            client_context(settings.mqtt_cafile, "mqtt_cafile") if settings.mqtt_tls else None
        )
        self.client_id = (
            settings.mqtt_client_id
            or f"streamer-gateway-{socket.gethostname()}-{settings.gateway_port}"
        )
        self.trouble: str | None = "the MQTT broker has not answered yet"
        """Why no messages are taken now; None if they are."""
        self._said_s = -_LOG_EVERY_S
        self._unsaid = 0

    async def run(self) -> None:
        """Take readings without end; connect again whenever the connection is lost."""
        wait_s = _FIRST_WAIT_S
        while True:
            begun_s = time.monotonic()
            try:
                await self._take_until_lost()
            except MqttError as error:
                self._log_loss(error, time.monotonic() - begun_s)
            except _NoRoom as reason:
                # `_take_until_lost` waits until Kafka takes readings again.
                wait_s = _FIRST_WAIT_S
                self.trouble = f"left the MQTT broker for a moment: {reason}"
                log.warning(
                    "left the MQTT broker for a moment; it keeps what comes", why=str(reason)
                )
            except Exception as error:
                # Nobody would notice that this task has ended. The broker keeps what comes.
                self.trouble = f"a fault of our own: {error!r:.300}"
                log.exception("messages of the MQTT broker are not taken, trying again")
            finally:
                self._metrics.mqtt_connected.set(0)
            if time.monotonic() - begun_s > _STABLE_S:
                wait_s = _FIRST_WAIT_S
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _log_loss(self, error: Exception, lasted_s: float) -> None:
        self.trouble = f"no connection to the MQTT broker: {error}"
        log.warning(
            "no connection to the MQTT broker, trying again",
            broker=self._settings.mqtt_broker,
            error=str(error),
            lasted_s=round(lasted_s, 1),
            hint="is it running, and is the login right? if connections are made and lost, does"
            f" another gateway use the client id {self.client_id}? set mqtt_client_id",
        )

    async def _take_until_lost(self) -> None:
        """Connect, subscribe, and take readings.

        Raises:
            MqttError: the connection is lost, or cannot be made.
            _NoRoom: Kafka does not take readings now.
        """
        await self._intake.wait_room()
        settings = self._settings
        assert settings.mqtt_broker is not None
        host, _, port = settings.mqtt_broker.rpartition(":")
        password = settings.mqtt_password
        client = MqttClient(
            self.client_id,
            settings.mqtt_version,
            settings.mqtt_username,
            password.get_secret_value() if password else None,
            session_expiry_s=SESSION_S,
            receive_maximum=settings.mqtt_in_flight,
            largest_packet=settings.gateway_max_body_bytes + _TOPIC_BYTES,
        )
        async with open_mqtt(host, int(port), client, self._tls, _ANSWER_S) as connection:
            connection.subscribe(self._pattern, self._begin)
            await _Session(self, connection, settings.mqtt_in_flight).run()

    def _begin(self) -> None:
        self._metrics.mqtt_connected.set(1)
        self.trouble = None
        log.info("takes readings from the MQTT broker", client_id=self.client_id)

    @property
    def _pattern(self) -> str:
        """Return what is subscribed to; not all brokers of MQTT 3.1.1 can share subscriptions."""
        settings = self._settings
        pattern = settings.mqtt_topic.replace(DEVICE_LEVEL, "+")
        if settings.mqtt_version == "5" and settings.mqtt_share:
            return f"$share/{settings.mqtt_share}/{pattern}"
        return pattern

    def find_device(self, topic: str) -> str | None:
        """Return the device of a topic; None if its level is empty or cannot be a device id."""
        device_id = topic.split("/")[self._level]
        try:
            size = len(device_id.encode())
        except UnicodeEncodeError:
            return None
        return device_id if 1 <= size <= LONGEST_DEVICE_ID else None

    async def submit(self, messages: Sequence[Message]) -> "list[asyncio.Future[None]]":
        """Submit the readings of messages; see `Intake.submit_each`."""
        await self._intake.wait_room()
        return await self._intake.submit_each(
            "mqtt",
            EVERYONE,
            [
                Candidate(self.find_device(each.topic), each.payload, self._format_of(each))
                for each in messages
            ],
        )

    def _format_of(self, message: Message) -> Format:
        if not message.content_type:
            return self._format
        media_type = message.content_type.partition(";")[0].strip().lower()
        return _FORMATS.get(media_type, self._format)

    def refuse(self, topic: str, error: BaseException) -> None:
        """Count and log a message that is dropped; MQTT has no way to tell its device."""
        _, outcome, answer = describe(error)
        self._metrics.readings.labels("mqtt", outcome).inc()
        self._unsaid += 1
        if time.monotonic() - self._said_s < _LOG_EVERY_S:
            return
        log.warning(
            "MQTT messages cannot be used and were dropped; here is the last one",
            messages=self._unsaid,
            topic=printable(topic)[:300],
            error=answer["error"][:300],
        )
        self._said_s, self._unsaid = time.monotonic(), 0


class _Session:
    """Takes the messages of one connection in their order, and acknowledges them in their order."""

    def __init__(self, owner: MqttReadings, connection: MqttConnection, in_flight: int) -> None:
        self._owner = owner
        self._connection = connection
        self._in_flight = in_flight
        self._unacknowledged: deque[tuple[Message, asyncio.Future[None]]] = deque()
        self._settled = asyncio.Event()
        """Is set for a moment whenever a message is done."""

    async def run(self) -> None:
        """Take messages until the connection is lost, or Kafka does not take one.

        Raises:
            MqttError: the connection is lost.
            _NoRoom: Kafka does not take readings now.
        """
        while True:
            while self._is_full():
                await self._settled.wait()
            room = self._in_flight - len(self._unacknowledged)
            messages = await self._connection.take(min(room, _AT_ONCE))
            futures = await self._owner.submit(messages)
            for message, done in zip(messages, futures, strict=False):
                self._unacknowledged.append((message, done))
                done.add_done_callback(self._settle)

    def _is_full(self) -> bool:
        """Return whether no message may be taken before one is done."""
        if not self._unacknowledged:
            return False
        newest = self._unacknowledged[-1][1]
        # Those behind a message that Kafka does not take come again after it, in their order.
        if newest.done() and isinstance(newest.exception(), Busy):
            return True
        # Brokers may send more than the receive maximum. It must not wait in the queue for Kafka,
        # where the readings of other clients would wait behind it.
        return len(self._unacknowledged) >= self._in_flight

    def _settle(self, _: "asyncio.Future[None]") -> None:
        """Acknowledge the messages that are done, up to the first that is not."""
        self._settled.set()
        self._settled.clear()
        while self._unacknowledged and self._unacknowledged[0][1].done():
            message, done = self._unacknowledged.popleft()
            error = done.exception()
            if isinstance(error, Busy):
                self._unacknowledged.clear()
                self._connection.fail(_NoRoom(str(error)))
                return
            if error is not None:
                self._owner.refuse(message.topic, error)
            self._connection.acknowledge(message)
