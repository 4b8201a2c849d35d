"""Reads all partitions of a topic without a consumer group, for everybody but workers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streamer.errors import TopicError
from streamer.kafka.client import client_options, connect
from streamer.kafka.topics import admin_client, partition_counts
from streamer.settings import Settings


@asynccontextmanager
async def open_reader(
    settings: Settings,
    topic: str,
    start: Literal["earliest", "latest"],
    patience_s: float | None = None,
) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer on a topic's committed records.

    Args:
        settings: where the brokers are.
        topic: whose partitions it is assigned, all of them.
        start: with the oldest record, or with the next one.
        patience_s: how long to try when no broker answers; None without end.

    Raises:
        TopicError: there is no such topic.
        KafkaError: no broker answered in time.
    """

    def make() -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **client_options(settings),
            auto_offset_reset=start,
            isolation_level="read_committed",
            enable_auto_commit=False,
        )

    async with admin_client(settings, patience_s) as admin:
        count = (await partition_counts(admin)).get(topic)
    if count is None:
        raise TopicError(
            f"there is no topic {topic} at {settings.bootstrap_servers}; "
            "`streamer topics create` creates it"
        )
    async with connect(make, patience_s) as consumer:
        consumer.assign([TopicPartition(topic, partition) for partition in range(count)])
        yield consumer


async def read_to_end(
    consumer: AIOKafkaConsumer,
) -> AsyncIterator["ConsumerRecord[bytes | None, bytes | None]"]:
    """Yield the records up to those that are the last ones now.

    What is in a transaction that is being committed counts too: Kafka confirms a commit before
    readers can see it, so the last committed record is not the one to stop at.
    """
    ends: dict[TopicPartition, int] = {}
    while not await _at(consumer, ends):
        fetched = await consumer.getmany(timeout_ms=500)
        for partition in consumer.assignment() - ends.keys():
            # Known from the first answer on.
            if (end := consumer.highwater(partition)) is not None:
                ends[partition] = end
        for partition, records in fetched.items():
            for record in records:
                if record.offset < ends[partition]:
                    yield record


async def _at(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    return len(ends) == len(consumer.assignment()) and all(
        [await consumer.position(partition) >= end for partition, end in ends.items()]
    )
