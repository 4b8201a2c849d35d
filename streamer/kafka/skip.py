"""Has the workers skip a record on which our own code fails."""

import dataclasses

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streamer.errors import ProcessingError
from streamer.kafka.aiokafka_internals import read_topics
from streamer.kafka.client import client_options, connect, transactional_id
from streamer.kafka.positions import offset_to_commit, read_position
from streamer.kafka.topics import admin_client
from streamer.kafka.transaction import transaction
from streamer.settings import Settings
from streamer.stream.position import Position

log = structlog.get_logger(__name__)


async def skip_record(
    settings: Settings, number: int, offset: int, patience_s: float | None = None
) -> None:
    """Note in the group's position that a record is not to be processed.

    The worker that has the partition takes the position up, writes the record to the dead-letter
    topic and continues after it. Whatever it was about to commit is not committed.

    Args:
        settings: where the topics are, and which group.
        number: of the partition of the readings.
        offset: of the record.
        patience_s: how long to try when no broker answers; None without end.

    Raises:
        ProcessingError: there is no such record, or it is processed already.
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
        connect(lambda: AIOKafkaConsumer(**client_options(settings)), patience_s) as consumer,
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
        async with connect(make_producer, patience_s) as producer:
            committed = await read_position(admin, settings.group_id, partition)
            position = committed or Position(begin, begin)
            if offset < position.next:
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
