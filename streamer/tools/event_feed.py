"""Follows the topic of events, also over outages of the broker."""

from collections.abc import AsyncGenerator
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer

from streamer.contracts.events import ActivityEvent, decode_event
from streamer.errors import DataError
from streamer.kafka.reader import do_brokers_answer

_POLL_MS = 500


class News(NamedTuple):
    """The events that have arrived since the last yield."""

    events: list[ActivityEvent]
    """In the order of their partition."""
    trouble: str
    """What is wrong; empty when nothing is."""


async def follow_events(consumer: AIOKafkaConsumer) -> AsyncGenerator[News]:
    """Yield new events, at least every few seconds, also when there are none."""
    while True:
        fetched = await consumer.getmany(timeout_ms=_POLL_MS)
        events, refused = [], 0
        for record in (record for records in fetched.values() for record in records):
            try:
                events.append(decode_event(record.value or b""))
            except DataError:
                refused += 1
        if refused:
            yield News(events, f"{refused} records are no activity events: is the topic right?")
        else:
            answered = bool(events) or await do_brokers_answer(consumer)
            yield News(events, "" if answered else "no Kafka broker answers, trying again")
