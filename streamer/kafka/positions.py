"""Committed positions: the group's offsets, and what their metadata say."""

import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from streamer.stream.position import Position

log = structlog.get_logger(__name__)


def offset_to_commit(position: Position) -> OffsetAndMetadata:
    """The offset at which a group should start again, and all else in its metadata."""
    return OffsetAndMetadata(position.low, position.metadata())


async def read_position(
    admin: AIOKafkaAdminClient, group_id: str, partition: TopicPartition
) -> Position | None:
    """Where the group has got to; None when it has not begun.

    The consumer's own ``committed()`` drops the metadata, the admin client does not.
    """
    offsets = await admin.list_consumer_group_offsets(group_id, partitions=[partition])
    found = offsets[partition]
    if found.offset < 0:
        return None
    try:
        return Position.parse(found.offset, found.metadata)
    except ValueError as error:
        # Somebody set the group's offsets by hand: that is where they want it to start.
        log.warning(
            "the group's offset was not committed by this program; starting there, afresh",
            topic=partition.topic,
            partition=partition.partition,
            offset=found.offset,
            found=str(error),
        )
        return Position(found.offset, found.offset)
