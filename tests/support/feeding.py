"""Writes the log into a topic as it is, timestamps too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamer.kafka import topics
from streamer.settings import Settings
from tests.support.log import PARTITIONS, Log


@asynccontextmanager
async def feeding(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """Topics for the log, whose records keep their timestamps and stay, and who writes it."""
    address = {"bootstrap_servers": settings.bootstrap_servers}
    config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    admin = AIOKafkaAdminClient(**address)
    await admin.start()
    try:
        topic = NewTopic(settings.readings_topic, PARTITIONS, -1, {}, config)
        await admin.create_topics([topic])
    finally:
        await admin.close()
    await topics.ensure(settings, 10)
    async with AIOKafkaProducer(**address, max_batch_size=64 * 1024) as producer:
        yield producer


async def append(
    producer: AIOKafkaProducer, topic: str, log: Log, share: tuple[float, float] = (0, 1)
) -> None:
    """Write a share of every partition, with the timestamps of the log."""
    for partition, records in enumerate(log):
        first, last = (round(part * len(records)) for part in share)
        batch = producer.create_batch()
        for record in records[first:last]:
            headers = list(record.headers)
            fields = {"key": record.key, "value": record.value, "headers": headers}
            while batch.append(timestamp=record.timestamp, **fields) is None:
                await (await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
        if batch.record_count():
            await (await producer.send_batch(batch, topic, partition=partition))
