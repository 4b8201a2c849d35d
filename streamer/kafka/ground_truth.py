"""Writes ground truth to its topic, and reads it."""

from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError as AIOKafkaError

from streamer.contracts.ground_truth import ActivityLabel, decode_label, encode_label
from streamer.errors import DataError, KafkaError
from streamer.kafka.client import client_options, connect
from streamer.kafka.reader import PATIENCE_S, open_reader, read_to_end
from streamer.kafka.topics import ensure_labels
from streamer.settings import Settings

log = structlog.get_logger(__name__)

REFUSED_S: Final = 10.0
"""How long a label may wait for the acknowledgement of Kafka."""


def make_label_producer(settings: Settings) -> AIOKafkaProducer:
    """Return a producer of labels, which acknowledges what all replicas in sync have."""
    return AIOKafkaProducer(
        **client_options(settings),
        acks="all",
        enable_idempotence=True,
    )


async def send_label(producer: AIOKafkaProducer, settings: Settings, label: ActivityLabel) -> None:
    """Write a label; return when Kafka has acknowledged it.

    The key is the device id, so the label is in the partition that the readings of the device have.

    Raises:
        KafkaError: of aiokafka; the label may be in the topic nevertheless.
    """
    await producer.send_and_wait(
        settings.labels_topic, encode_label(label), label.device_id.encode()
    )


async def publish_label(settings: Settings, label: ActivityLabel) -> None:
    """Write one label, into a topic that is made if it is missing and may be made.

    Raises:
        TopicError: the topic is missing, and must not be created.
        KafkaError: no broker answers, or Kafka does not take the label.
    """
    await ensure_labels(settings, PATIENCE_S)
    async with connect(lambda: make_label_producer(settings), PATIENCE_S) as producer:
        try:
            await send_label(producer, settings, label)
        except AIOKafkaError as error:
            raise KafkaError(
                f"Kafka at {settings.bootstrap_servers} does not take the label: {error!r}"
            ) from error


async def read_labels(settings: Settings) -> list[ActivityLabel]:
    """Return all labels, those of a device in the order in which they were published.

    Raises:
        TopicError: there is no topic of labels.
        KafkaError: no broker answers.
    """
    labels: list[ActivityLabel] = []
    unreadable = 0
    async with open_reader(settings, settings.labels_topic, "earliest", PATIENCE_S) as consumer:
        async for record in read_to_end(consumer):
            try:
                labels.append(decode_label(record.value or b""))
            except DataError:
                unreadable += 1
    if unreadable:
        log.warning(
            "records of the topic of labels are not labels; they do not count",
            topic=settings.labels_topic,
            records=unreadable,
        )
    return labels
