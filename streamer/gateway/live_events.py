"""Reads committed activity events from Kafka without a group, for those who follow them live.

The events of a device also go to its WebSockets, which bring its readings.
"""

import asyncio
import time
from typing import Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer

from streamer.contracts.events import encode_event
from streamer.errors import UNDECODABLE, DataError, StreamerError
from streamer.gateway.device_sockets import DeviceSockets
from streamer.gateway.event_hub import KEPT_EVENTS, EventHub, LiveEvent
from streamer.gateway.fleet_view import EventGlance, FleetView
from streamer.kafka.aiokafka_internals import read_topics
from streamer.kafka.client import is_kafka_error
from streamer.kafka.event_formats import DecodeEvent, make_event_decoder
from streamer.kafka.reader import open_reader
from streamer.kafka.topic_records import TopicRecord, fetch_parts, list_records
from streamer.kafka.topics import admin_client
from streamer.settings import Settings

log = structlog.get_logger(__name__)

_POLL_MS: Final = 500
_RETRY_S: Final = 2.0
_LOOK_S = 5.0
"""How often the topic is compared with what it was."""

_RATE_SPAN_S: Final = 5.0


class LiveEvents:
    """The one reader of events in a gateway, and what it has read."""

    def __init__(self, settings: Settings, sockets: DeviceSockets) -> None:
        self._settings = settings
        self._sockets = sockets
        self._decode = make_event_decoder(settings)
        self._glance = msgspec.json.Decoder(EventGlance)
        self._arrivals: list[tuple[float, int]] = []
        self.hub = EventHub()
        self.fleet = FleetView()

    async def follow(self) -> None:
        """Read until cancelled, also after outages of Kafka.

        Begin with the events that the hub can keep, so that a subscriber that comes back after a
        restart of the gateway misses nothing.
        """
        topic = self._settings.events_topic
        while True:
            try:
                async with (
                    admin_client(self._settings, None) as admin,
                    open_reader(self._settings, topic, "latest") as consumer,
                ):
                    before = await read_topics(admin, [topic])
                    await self._start(consumer)
                    while await read_topics(admin, [topic]) == before:
                        until_s = time.monotonic() + _LOOK_S
                        while time.monotonic() < until_s:
                            await self._read(consumer)
                log.info("the topic of events has changed, reading it anew", topic=topic)
            except StreamerError as error:
                log.warning("events cannot be followed, trying again", topic=topic, why=str(error))
            except Exception as error:
                if not is_kafka_error(error):
                    raise
                log.warning("events cannot be followed, trying again", topic=topic, why=repr(error))
            await asyncio.sleep(_RETRY_S)

    def rate(self) -> float:
        """Return the events a second over the last five seconds."""
        now_s = time.monotonic()
        self._arrivals = [each for each in self._arrivals if each[0] > now_s - _RATE_SPAN_S]
        return sum(count for _, count in self._arrivals) / _RATE_SPAN_S

    async def _start(self, consumer: AIOKafkaConsumer) -> None:
        """Go on where the hub is; the first time, at the events that it can keep."""
        assigned = consumer.assignment()
        ends = await consumer.end_offsets(assigned)
        begins = await consumer.beginning_offsets(assigned)
        known, found = self.hub.positions, {each.partition for each in assigned}
        was_recreated = any(known.get(each.partition, 0) > ends[each] for each in assigned)
        if not known or was_recreated or not known.keys() <= found:
            share = max(1, KEPT_EVENTS // len(assigned))
            self.hub.start_at(
                {each.partition: max(begins[each], ends[each] - share) for each in assigned}
            )
        elif new := [each for each in assigned if each.partition not in known]:
            self.hub.add_partitions({each.partition: begins[each] for each in new})
        for each in assigned:
            consumer.seek(each, self.hub.positions[each.partition])
        while any(self.hub.positions[each.partition] < ends[each] for each in assigned):
            await self._read(consumer)
        self.hub.is_current.set()

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        count = 0
        async for partition, records in fetch_parts(consumer, _POLL_MS):
            count += sum(map(self._publish, list_records(partition, records)))
        self._arrivals.append((time.monotonic(), count))
        for each in consumer.assignment():
            # Markers of transactions have offsets too.
            self.hub.move_to(each.partition, await consumer.position(each))

    def _publish(self, record: TopicRecord) -> bool:
        """Give an event to the hub and the view; return False if the record is none."""
        try:
            value = _as_json(record.value or b"", self._decode)
            glance = self._glance.decode(value)
            value.decode()
        except (DataError, *UNDECODABLE) as error:
            log.warning(
                "a record in the topic of events is no activity event, and nobody gets it",
                partition=f"{self._settings.events_topic}[{record.partition}]",
                offset=record.offset,
                why=str(error),
            )
            return False
        self.hub.publish(LiveEvent(record.partition, record.offset, glance.device_id, value))
        if self.hub.is_current.is_set():
            self._sockets.send_event(glance.device_id, value)
        self.fleet.see(glance, record.timestamp, record.partition)
        return True


def _as_json(value: bytes, decode: DecodeEvent) -> bytes:
    """Return an event as JSON in one line, whatever its format in the topic.

    JSON has line breaks only between its tokens; a server-sent event would end there.
    """
    return value.translate(None, b"\r\n") if value[:1] == b"{" else encode_event(decode(value))
