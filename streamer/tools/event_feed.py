"""Follows the topic of events, also over outages of the broker."""

import asyncio
from collections.abc import AsyncGenerator
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from streamer.contracts.events import ActivityEvent, decode_event
from streamer.errors import DataError

_POLL_MS = 500
_PATIENCE_S = 3


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
            yield News(events, "" if events else await _trouble(consumer))


async def _trouble(consumer: AIOKafkaConsumer) -> str:
    """Ask the brokers, because the client itself waits silently while they are away."""
    try:
        await asyncio.wait_for(consumer.end_offsets(consumer.assignment()), _PATIENCE_S)
    except (KafkaError, TimeoutError):
        return "no Kafka broker answers, trying again"
    return ""
