"""Reads back what was published."""

from collections import defaultdict

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from streamer.settings import Settings


async def read_partitions(settings: Settings) -> dict[int, list["ConsumerRecord[bytes, bytes]"]]:
    """All readings that are there now, by partition, in order."""
    consumer = AIOKafkaConsumer(
        settings.readings_topic,
        bootstrap_servers=settings.bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        partitions: dict[int, list[ConsumerRecord[bytes, bytes]]] = defaultdict(list)
        ends = await consumer.end_offsets(consumer.assignment())
        missing = sum(ends.values()) - sum((await consumer.beginning_offsets(ends)).values())
        while missing > 0:  # more may come while they are read
            for partition, records in (await consumer.getmany(timeout_ms=1000)).items():
                partitions[partition.partition] += records
                missing -= len(records)
        return dict(partitions)
    finally:
        await consumer.stop()
