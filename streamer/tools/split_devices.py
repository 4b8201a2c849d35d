"""Finds devices whose recent events are in two partitions, written by any workers."""

import time
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from streamer.flow.device_partitions import NAMED, DevicePartitions, SplitDevice
from streamer.kafka.reader import open_reader, read_to_end
from streamer.kafka.topic_rules import Finding
from streamer.settings import Settings

log = structlog.get_logger(__name__)

RECENT_S: Final = 3600.0
"""Greatest age of the events that are read."""

MOST_EVENTS: Final = 20_000
"""Number of the newest events that are read from each partition."""


async def check_devices(settings: Settings, patience_s: float) -> list[Finding]:
    """Return a finding that names devices with recent events in two partitions.

    Raises:
        KafkaError: no broker answered in time, or the topic of events does not exist.
    """
    try:
        found = await find_split_devices(settings, patience_s)
    except KafkaError as error:
        # An operator is often not allowed to read events.
        log.warning(
            "devices in two partitions were not looked for, because the events cannot be read",
            error=repr(error),
        )
        return []
    if not found:
        return []
    names = ", ".join(
        f"{device_id} ({before} and {now})" for device_id, before, now in found[:NAMED]
    )
    return [
        Finding(
            settings.events_topic,
            "warning",
            f"{len(found)} devices have events of the last hour in two partitions, so their "
            f"readings are in two partitions and the events are wrong in both: {names}",
            "set the same partitioner in all publishers (docs/contracts.md); if partitions were "
            "just added, it passes by itself",
        )
    ]


async def find_split_devices(settings: Settings, patience_s: float) -> list[SplitDevice]:
    """Return the devices with recent events in two partitions."""
    found: list[SplitDevice] = []
    async with open_reader(settings, settings.events_topic, "latest", patience_s) as consumer:
        since_ms = int((time.time() - RECENT_S) * 1000)
        partitions = consumer.assignment()
        starts = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
        ends = await consumer.end_offsets(partitions)
        for partition, end in ends.items():
            start = starts[partition]
            newest = end if start is None else start.offset
            consumer.seek(partition, max(newest, end - MOST_EVENTS))
        devices = DevicePartitions()
        async for record in read_to_end(consumer, patience_s):
            device_id = (record.key or b"").decode(errors="replace")
            found += devices.add(record.partition, [device_id])
    return found
