"""Has the workers skip a record on which our own code fails, or a damaged batch."""

import asyncio
import dataclasses

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streamer.errors import KafkaError, ProcessingError
from streamer.kafka.aiokafka_internals import WholeBatch, read_topics, whole_batches
from streamer.kafka.client import client_options, connect, transactional_id
from streamer.kafka.positions import offset_to_commit, read_position
from streamer.kafka.record_batches import DamagedBatchError, unpack
from streamer.kafka.topics import admin_client
from streamer.kafka.transaction import transaction
from streamer.settings import Settings
from streamer.stream.position import Position

log = structlog.get_logger(__name__)

ANSWER_S = 10.0
"""How long to wait until the broker sends a batch that it has."""

_POLL_MS = 500


async def skip_record(
    settings: Settings, number: int, offset: int, patience_s: float | None = None
) -> None:
    """Note in the group's position that a record is not to be processed.

    The worker that has the partition takes the position up, writes the record to the dead-letter
    topic and continues after it. Whatever it was about to commit is not committed.

    A record that is processed already can be skipped only if it is the last one of a damaged batch:
    a worker that recovers has to pass it.

    Args:
        settings: where the topics are, and which group.
        number: of the partition of the readings.
        offset: of the record.
        patience_s: how long to try when no broker answers; None without end.

    Raises:
        ProcessingError: there is no such record, it is processed already, or it is not the last one
            of a damaged batch.
        KafkaError: no broker answered in time.
    """
    partition = TopicPartition(settings.readings_topic, number)
    name = f"{partition.topic}[{number}]"

    def make_producer() -> AIOKafkaProducer:
        # The id of whoever has the partition, so that nothing is committed at the same time.
        return AIOKafkaProducer(
            **client_options(settings), transactional_id=transactional_id(settings, partition)
        )

    async with (
        admin_client(settings, patience_s) as admin,
        connect(lambda: _make_consumer(settings), patience_s) as consumer,
    ):
        found = await read_topics(admin, [partition.topic])
        if partition.topic not in found or number >= found[partition.topic].partitions:
            raise ProcessingError(f"{partition.topic} has no partition {number}")
        begin = (await consumer.beginning_offsets([partition]))[partition]
        end = (await consumer.end_offsets([partition]))[partition]
        if not begin <= offset < end:
            raise ProcessingError(
                f"there is no record {offset} in {name}: it begins at {begin}, and it ends at {end}"
            )
        damage = await _find_damage(consumer, partition, offset)
        if damage is not None and offset != damage.last:
            raise ProcessingError(
                f"{name}: {damage}. They can be skipped only together: streamer skip "
                f"{number} {damage.last}"
            )
        async with connect(make_producer, patience_s) as producer:
            committed = await read_position(admin, settings.group_id, partition)
            position = committed or Position(begin, begin)
            if offset < (position.next if damage is None else position.low):
                raise ProcessingError(
                    f"the record {offset} of {name} is processed already: the group is at "
                    f"{position.next}"
                )
            position = dataclasses.replace(
                position, skipped=tuple(sorted({*position.skipped, offset}))
            )
            async with transaction(producer):
                await producer.send_offsets_to_transaction(
                    {partition: offset_to_commit(position)}, settings.group_id
                )
    log.info("a record will be skipped", partition=name, offset=offset)


def _make_consumer(settings: Settings) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **client_options(settings),
        enable_auto_commit=False,
        auto_offset_reset="none",
        check_crcs=False,
        value_deserializer=whole_batches,
    )


async def _find_damage(
    consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int
) -> DamagedBatchError | None:
    """Return what is wrong with the batch of a record; None if it can be read.

    Raises:
        KafkaError: the broker does not send it.
    """
    consumer.assign([partition])
    consumer.seek(partition, offset)
    try:
        async with asyncio.timeout(ANSWER_S):
            # A transaction marker is no record, and only moves the position.
            while await consumer.position(partition) <= offset:
                fetched = await consumer.getmany(partition, timeout_ms=_POLL_MS)
                batches: list[WholeBatch] = fetched.get(partition, [])
                for _ in unpack(batches[:1]):
                    pass
    except DamagedBatchError as damage:
        return damage
    except TimeoutError:
        raise KafkaError(
            f"the broker has not sent the record {offset} of {partition.topic}"
            f"[{partition.partition}] for {ANSWER_S:g} s"
        ) from None
    return None
