"""Fetches records of any topic, for everybody but the lanes of workers.

What a topic holds may be hostile: a batch is unpacked a bounded part at a time, names of headers
may be any bytes, and a damaged batch is passed over.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from streamer.contracts.records import Headers, Records
from streamer.kafka.aiokafka_internals import WholeBatch
from streamer.kafka.record_batches import LARGEST_RECORD, DamagedBatchError, unpack

log = structlog.get_logger(__name__)

LARGEST_LETTER: Final = LARGEST_RECORD + 1024 * 1024
"""Bytes of the largest dead letter: a record that a worker has read whole, and more headers."""


class TopicRecord(NamedTuple):
    """A record of a topic."""

    partition: int
    offset: int
    timestamp: int
    """Milliseconds since the epoch, by Kafka's clock."""
    key: bytes | None
    value: bytes | None
    headers: Headers


OnDamage = Callable[[TopicPartition, DamagedBatchError], None]
"""Is told which records are passed over, before the records that follow them."""


def warn_of_damage(partition: TopicPartition, damage: DamagedBatchError) -> None:
    """Log that a damaged batch is passed over."""
    log.warning(
        "a record batch is damaged, and its records are passed over; restore the log of the "
        "partition, from a replica for example",
        partition=f"{partition.topic}[{partition.partition}]",
        problem=str(damage),
    )


async def fetch_parts(
    consumer: AIOKafkaConsumer, timeout_ms: int, on_damage: OnDamage = warn_of_damage
) -> AsyncIterator[tuple[int, Records]]:
    """Fetch once; yield partition and records, in parts of bounded size.

    Args:
        consumer: one that gives `WholeBatch`es, such as that of `open_reader`.
        timeout_ms: how long to wait for records.
        on_damage: is told of damaged batches.
    """
    fetched: dict[TopicPartition, list[WholeBatch]] = await consumer.getmany(timeout_ms=timeout_ms)
    for partition, batches in fetched.items():
        for batch in batches:
            try:
                for records in unpack([batch], largest=LARGEST_LETTER):
                    yield partition.partition, records.since(batch.wanted_from)
                    # 33 kB may hold a gigabyte, and others wait for their turn.
                    await asyncio.sleep(0)
            except DamagedBatchError as damage:
                on_damage(partition, damage)


def list_records(partition: int, records: Records) -> Iterator[TopicRecord]:
    """Yield records one by one."""
    places = zip(records.offset.tolist(), records.timestamp.tolist(), strict=True)
    for (offset, timestamp), (key, value, headers) in zip(places, records.contents(), strict=True):
        yield TopicRecord(partition, offset, timestamp, key, value, headers or [])
