"""Readings from an MQTT broker: a message is acknowledged when Kafka has its reading.

The broker keeps what is not acknowledged, and sends it again after a reconnection, in order. So
when Kafka does not take a reading, the connection is given up, and made again a little later.
"""

import asyncio
import socket
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Final

import structlog

from streamer.contracts.readings import CONTENT_TYPES, LONGEST_DEVICE_ID, Format
from streamer.errors import InstallationError
from streamer.gateway.access import EVERYONE
from streamer.gateway.answers import ERRORS, describe
from streamer.gateway.device_rates import TooMany
from streamer.gateway.intake import Intake
from streamer.gateway.reading_queue import Busy
from streamer.gateway.readings_check import Candidate
from streamer.gateway_metrics import GatewayMetrics
from streamer.printable import printable
from streamer.settings import GatewaySettings
from streamer.settings.gateway import DEVICE_LEVEL
from streamer.tls import client_context

try:
    import aiomqtt
    from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties
    from paho.mqtt.subscribeoptions import SubscribeOptions

    from streamer.gateway.mqtt_backlog import MqttBacklog
except ImportError as error:
    raise InstallationError(
        f"readings from an MQTT broker need the extra `streamer[mqtt]`: {error}; "
        "install it with `pip install 'streamer[mqtt]'`"
    ) from error

log = structlog.get_logger(__name__)

_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 30.0
_STABLE_S: Final = 60.0
"""A connection that lasts so long is a good one: after it the next wait is short again."""

_SESSION_S: Final = 3600
"""Time for which a broker of MQTT 5 keeps the messages of a gateway that is away."""

_ANSWER_S: Final = 60.0
"""How long the broker may take to answer: it sends what it has kept before."""

_LOG_EVERY_S: Final = 10.0
"""Time between two log lines about messages that cannot be used."""

_TOPIC_BYTES: Final = 70_000
"""Room for the longest topic and the properties of a message."""

_FORMATS: Final = {name.decode(): form for form, name in CONTENT_TYPES.items()}


class _NoRoom(Exception):  # noqa: N818 - it is no error
    """Kafka does not take a reading."""


@dataclass(slots=True)
class _Delivery:
    """A message that is not acknowledged yet."""

    message: aiomqtt.Message
    done: "asyncio.Future[None]"


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
            except aiomqtt.MqttError as error:
                self._log_loss(error, time.monotonic() - begun_s)
            except _NoRoom as reason:
                # `_take_until_lost` waits until Kafka takes readings again.
                wait_s = _FIRST_WAIT_S
                self.trouble = f"left the MQTT broker for a moment: {reason}"
                log.warning(
                    "left the MQTT broker for a moment; it keeps what comes", why=str(reason)
                )
            finally:
                self._metrics.mqtt_connected.set(0)
            if time.monotonic() - begun_s > _STABLE_S:
                wait_s = _FIRST_WAIT_S
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _log_loss(self, error: Exception, lasted_s: float) -> None:
        self.trouble = f"no connection to the MQTT broker: {error.__cause__ or error}"
        log.warning(
            "no connection to the MQTT broker, trying again",
            broker=self._settings.mqtt_broker,
            error=str(error.__cause__ or error),
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
        session = _Session(self)
        client = self._make_client(session.backlog)
        # aiomqtt has no public way to let us acknowledge. It must be set before the connection is
        # made: what the broker sends again comes at once.
        client._client.manual_ack_set(True)  # noqa: SLF001
        session.backlog.hold_back(client)
        async with client:
            # The broker sends what it has kept before it answers the subscription.
            await session.run(client, self._begin(client))

    async def _begin(self, client: aiomqtt.Client) -> None:
        await self._subscribe(client)
        self._metrics.mqtt_connected.set(1)
        self.trouble = None
        log.info("takes readings from the MQTT broker", client_id=self.client_id)

    def _make_client(self, backlog: MqttBacklog) -> aiomqtt.Client:
        settings = self._settings
        assert settings.mqtt_broker is not None
        host, _, port = settings.mqtt_broker.rpartition(":")
        password = settings.mqtt_password
        is_5 = settings.mqtt_version == "5"
        properties = None
        if is_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.ReceiveMaximum = settings.mqtt_in_flight
            properties.MaximumPacketSize = settings.gateway_max_body_bytes + _TOPIC_BYTES
            properties.SessionExpiryInterval = _SESSION_S
        return aiomqtt.Client(
            host,
            int(port),
            identifier=self.client_id,
            username=settings.mqtt_username,
            password=password.get_secret_value() if password else None,
            protocol=aiomqtt.ProtocolVersion.V5 if is_5 else aiomqtt.ProtocolVersion.V311,
            clean_session=None if is_5 else False,
            clean_start=False if is_5 else MQTT_CLEAN_START_FIRST_ONLY,
            properties=properties,
            tls_context=self._tls,
            timeout=_ANSWER_S,
            queue_type=backlog.queue_type,
        )

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        settings = self._settings
        pattern = settings.mqtt_topic.replace(DEVICE_LEVEL, "+")
        if settings.mqtt_version == "5":
            if settings.mqtt_share:
                pattern = f"$share/{settings.mqtt_share}/{pattern}"
            # Retained messages are old: the broker must not send them with each subscription.
            codes = await client.subscribe(
                pattern, options=SubscribeOptions(qos=1, retainHandling=2)
            )
        else:
            codes = await client.subscribe(pattern, qos=1)
        for code in codes:
            if (code if isinstance(code, int) else code.value) >= 0x80:
                raise aiomqtt.MqttError(f"the broker refuses the subscription to {pattern}: {code}")

    def find_device(self, topic: str) -> str | None:
        """Return the device of a topic; None if its level is empty or too long for a device id."""
        device_id = topic.split("/")[self._level]
        return device_id if 1 <= len(device_id.encode()) <= LONGEST_DEVICE_ID else None

    async def submit(self, message: aiomqtt.Message) -> "asyncio.Future[None]":
        """Submit the reading of a message; raises as `Intake.submit`."""
        device_id = self.find_device(message.topic.value)
        assert isinstance(message.payload, bytes)
        candidate = Candidate(device_id, message.payload, self._format_of(message))
        await self._intake.wait_room()
        return await self._intake.submit("mqtt", EVERYONE, [candidate])

    def _format_of(self, message: aiomqtt.Message) -> Format:
        named = getattr(message.properties, "ContentType", "")
        media_type = named.partition(";")[0].strip().lower()
        return _FORMATS.get(media_type, Format(self._settings.mqtt_format))

    def refuse(self, topic: str, error: BaseException) -> None:
        """Count and log a message that cannot be used; MQTT has no way to tell its device."""
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

    def __init__(self, owner: MqttReadings) -> None:
        self._owner = owner
        self.backlog = MqttBacklog(lambda: self._fail(aiomqtt.MqttError("the connection broke")))
        self._deliveries: deque[_Delivery] = deque()
        self._error: Exception | None = None
        self._failed = asyncio.Event()
        self._is_over = False

    async def run(self, client: aiomqtt.Client, begin: Coroutine[None, None, None]) -> None:
        """Take messages until the connection is lost, or Kafka does not take one.

        Args:
            client: is connected.
            begin: subscribes, while messages are taken.
        """
        self._client = client
        beginning = asyncio.create_task(begin)
        taking = asyncio.create_task(self._take())
        failed = asyncio.create_task(self._failed.wait())
        tasks = {beginning, taking, failed}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if beginning.done():
                beginning.result()
                await asyncio.wait({taking, failed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._is_over = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._error is not None:
            raise self._error
        taking.result()

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._failed.set()

    async def _take(self) -> None:
        async for message in self._client.messages:
            if message.retain:
                self._acknowledge(message)  # It is older than the subscription.
                continue
            try:
                done = await self._owner.submit(message)
            except (Busy, TooMany) as error:
                raise _NoRoom(str(error)) from None
            except ERRORS as error:
                done = asyncio.get_running_loop().create_future()
                done.set_exception(error)
                done.exception()
            self._deliveries.append(_Delivery(message, done))
            done.add_done_callback(self._settle)

    def _settle(self, _: "asyncio.Future[None]") -> None:
        """Acknowledge the messages that are done, up to the first that is not."""
        while not self._is_over and self._deliveries and self._deliveries[0].done.done():
            delivery = self._deliveries.popleft()
            error = delivery.done.exception()
            if isinstance(error, Busy):
                self._is_over = True
                self._fail(_NoRoom("Kafka does not take readings now"))
                return
            if error is not None:
                self._owner.refuse(delivery.message.topic.value, error)
            self._acknowledge(delivery.message)

    def _acknowledge(self, message: aiomqtt.Message) -> None:
        self._client._client.ack(message.mid, message.qos)  # noqa: SLF001
