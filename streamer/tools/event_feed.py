"""Reads new events from their topic, also after outages of the broker."""

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer

from streamer.contracts.events import ActivityEvent
from streamer.errors import DataError
from streamer.flow.device_partitions import DevicePartitions, SplitDevice
from streamer.kafka.event_formats import DecodeEvent
from streamer.kafka.reader import do_brokers_answer
from streamer.kafka.topic_records import fetch_parts

_POLL_MS = 500


class NewEvents(NamedTuple):
    """The events that have arrived since the last yield."""

    events: list[ActivityEvent]
    """In the order of their partition."""
    trouble: str
    """Description of a problem; empty when there is none."""
    split: Sequence[SplitDevice] = ()
    """Devices that had events in another partition before; each occurs once."""


async def follow_events(
    consumer: AIOKafkaConsumer, decode: DecodeEvent
) -> AsyncGenerator[NewEvents]:
    """Yield new events, at least every few seconds, also when there are none."""
    partitions = DevicePartitions()
    while True:
        events: list[ActivityEvent] = []
        split: list[SplitDevice] = []
        refused = 0
        async for partition, records in fetch_parts(consumer, _POLL_MS):
            device_ids = []
            for _key, value, _headers in records.contents():
                try:
                    events.append(decode(value or b""))
                    device_ids.append(events[-1].device_id)
                except DataError:
                    refused += 1
            split += partitions.add(partition, device_ids)
        trouble = ""
        if refused:
            trouble = f"{refused} records are no activity events: is the topic right?"
        elif not events and not await do_brokers_answer(consumer):
            trouble = "no Kafka broker answers, trying again"
        yield NewEvents(events, trouble, split)
