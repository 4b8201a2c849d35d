"""Reads all partitions of a topic without a consumer group, for everybody but workers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final, Literal

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError as AIOKafkaError

from streamer.errors import KafkaError, TopicError
from streamer.kafka.aiokafka_internals import bootstrap_addresses, whole_batches
from streamer.kafka.client import client_options, connect
from streamer.kafka.topic_records import (
    OnDamage,
    TopicRecord,
    fetch_parts,
    list_records,
    warn_of_damage,
)
from streamer.kafka.topics import admin_client, describe_missing, partition_counts
from streamer.settings import Settings

log = structlog.get_logger(__name__)

PATIENCE_S: Final = 10.0
"""How long the brokers may be silent while a topic is read."""

ReportReading = Callable[[str, int, int], None]
"""Is told what is read, how many records of it were read, and how many there are."""

reading_progress: ContextVar[ReportReading | None] = ContextVar("reading_progress", default=None)
"""Whom to tell how far a topic is read; commands set it while they show a progress bar."""

_ANSWER_S: Final = 3.0
_POLL_MS: Final = 500


@asynccontextmanager
async def open_reader(
    settings: Settings,
    topic: str,
    start: Literal["earliest", "latest"],
    patience_s: float | None = None,
    partition: int | None = None,
) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer on a topic's committed records, for `fetch_parts` and `read_to_end`.

    Args:
        settings: where the brokers are.
        topic: whose partitions it is assigned.
        start: with the oldest record, or with the next one.
        patience_s: how long to try when no broker answers; None without end.
        partition: the only partition that it is assigned; None for all of them.

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
            check_crcs=False,
            value_deserializer=whole_batches,
        )

    async with admin_client(settings, patience_s) as admin:
        count = (await partition_counts(admin)).get(topic)
    if count is None:
        raise TopicError(
            f"{describe_missing(topic, settings)}; `streamer topics create` creates it"
        )
    async with connect(make, patience_s) as consumer:
        partitions = range(count) if partition is None else [partition]
        consumer.assign([TopicPartition(topic, each) for each in partitions])
        yield consumer


async def seek_to_time(consumer: AIOKafkaConsumer, stamped_ms: int) -> None:
    """Go to the first records that are stamped at a time or later."""
    partitions = consumer.assignment()
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, max(0, stamped_ms)))
    for partition in partitions:
        if place := found.get(partition):
            consumer.seek(partition, place.offset)
        else:
            await consumer.seek_to_end(partition)


async def read_to_end(
    consumer: AIOKafkaConsumer,
    patience_s: float = PATIENCE_S,
    on_damage: OnDamage = warn_of_damage,
) -> AsyncIterator[TopicRecord]:
    """Yield the records up to those that are the last ones now.

    What is in a transaction that is being committed counts too: Kafka confirms a commit before
    readers can see it, so the last committed record is not the one to stop at. What is in a
    transaction that a producer has left open is waited for.

    Args:
        consumer: with partitions, at the records to begin with.
        patience_s: how long the brokers may be silent.
        on_damage: is told of damaged batches, which are passed over.

    Raises:
        KafkaError: no broker has answered for that time.
    """
    ends: dict[int, int] = {}
    begins: dict[int, int] = {}
    answered_s = fetched_s = time.monotonic()
    waits = False
    while not await _at(consumer, ends):
        fetched = False
        async for partition, records in fetch_parts(consumer, _POLL_MS, on_damage):
            fetched = True
            _note_ends(consumer, ends)
            for record in list_records(partition, records.before(ends[partition])):
                yield record
        _note_ends(consumer, ends)
        await _report(consumer, begins, ends)
        if fetched:
            answered_s = fetched_s = time.monotonic()
        elif await do_brokers_answer(consumer):
            answered_s = time.monotonic()
        elif time.monotonic() - answered_s > patience_s:
            raise KafkaError(
                f"no Kafka broker has answered for {patience_s:g} s while a topic was read, at "
                f"{bootstrap_addresses(consumer)}; start the command again when one does"
            )
        if answered_s - fetched_s > patience_s and not waits:
            waits = True
            log.warning("a producer has left a transaction open, waiting for its end")


def _note_ends(consumer: AIOKafkaConsumer, ends: dict[int, int]) -> None:
    """Note where partitions end of which it was not known; it is from the first answer on."""
    for partition in consumer.assignment():
        if partition.partition not in ends and (end := consumer.highwater(partition)) is not None:
            ends[partition.partition] = end


async def _report(consumer: AIOKafkaConsumer, begins: dict[int, int], ends: dict[int, int]) -> None:
    """Tell how far the partitions are read."""
    report, assigned = reading_progress.get(), consumer.assignment()
    # A position is asked for when it is known: aiokafka waits for it without end.
    if report is not None and len(ends) == len(assigned):
        positions = {each.partition: await consumer.position(each) for each in assigned}
        begins.update(positions | begins)
        done = sum(positions.values()) - sum(begins.values())
        total = sum(ends.values()) - sum(begins.values())
        topic = next(each.topic for each in assigned)
        report(f"reading {topic}", min(done, total), total)


async def do_brokers_answer(consumer: AIOKafkaConsumer) -> bool:
    """Ask the brokers of all partitions, because a consumer waits silently while they are away."""
    try:
        await asyncio.wait_for(consumer.end_offsets(consumer.assignment()), _ANSWER_S)
    except (AIOKafkaError, TimeoutError):
        return False
    return True


async def _at(consumer: AIOKafkaConsumer, ends: dict[int, int]) -> bool:
    assigned = consumer.assignment()
    return len(ends) == len(assigned) and all(
        [await consumer.position(each) >= ends[each.partition] for each in assigned]
    )
