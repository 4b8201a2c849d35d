"""Prepares the topic of readings for a gateway."""

import structlog

from streamer.errors import KafkaError
from streamer.kafka import topics
from streamer.settings import GatewaySettings

log = structlog.get_logger(__name__)

_DEFAULT_BYTES = 1024 * 1024
"""Kafka's default of `max.message.bytes`, about."""


async def prepare_topic(settings: GatewaySettings) -> int:
    """Create missing topics, or require them; return the size of the largest record, in bytes.

    Raises:
        TopicError: a topic is missing, or cannot be created.
    """
    if settings.create_topics:
        await topics.ensure(settings)
    else:
        await topics.require(settings)
    try:
        return await topics.largest_reading(settings)
    except KafkaError as error:
        # A client is often not allowed to read the configuration of topics.
        log.warning("assumed Kafka's default of max.message.bytes", error=str(error))
        return _DEFAULT_BYTES
