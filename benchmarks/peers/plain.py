"""Plain aiokafka: a loop over fetched records, no guarantee. Usage: plain.py BROKERS IN OUT."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from job import Devices, parse, write


async def main(brokers: str, readings: str, events: str) -> None:
    consumer = AIOKafkaConsumer(
        readings,
        bootstrap_servers=brokers,
        group_id=f"plain-{events}",
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=brokers, linger_ms=20, max_batch_size=256 * 1024)
    devices = Devices()
    async with consumer, producer:
        while True:
            fetched = await consumer.getmany(timeout_ms=200, max_records=5000)
            for records in fetched.values():
                for record in records:
                    event = devices.add(parse(record.value))
                    if event is not None:
                        await producer.send(events, write(event), record.key)


asyncio.run(main(*sys.argv[1:4]))
