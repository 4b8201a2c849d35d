"""Committed positions: the group's offsets, and what their metadata say."""

import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from streamer.kafka.client import ask
from streamer.stream.position import Position

log = structlog.get_logger(__name__)


def offset_to_commit(position: Position) -> OffsetAndMetadata:
    """Return the offset at which a group starts again, with all else in its metadata."""
    return OffsetAndMetadata(position.low, position.metadata())


async def read_position(
    admin: AIOKafkaAdminClient, group_id: str, partition: TopicPartition
) -> Position | None:
    """Return the position that a group has committed; None if there is none.

    The consumer's own ``committed()`` drops the metadata, the admin client does not.

    An offset that this program has not committed was set by an operator: it is where to start,
    without any state.
    """
    offsets = await ask(lambda: admin.list_consumer_group_offsets(group_id, partitions=[partition]))
    found = offsets[partition]
    if found.offset < 0:
        return None
    try:
        return Position.parse(found.offset, found.metadata)
    except ValueError as error:
        log.warning(
            "the group's offset was not committed by this program; starting there without state",
            partition=f"{partition.topic}[{partition.partition}]",
            offset=found.offset,
            found=str(error),
        )
        return Position(found.offset, found.offset)
