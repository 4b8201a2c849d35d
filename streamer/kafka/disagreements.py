"""Publishes disagreements of a shadow, beside the transactions of the events."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer

from streamer.contracts.disagreements import Disagreement, encode_disagreement
from streamer.kafka.client import client_options, connect
from streamer.predict.shadow import Publish
from streamer.settings import Settings


@asynccontextmanager
async def open_disagreements(settings: Settings) -> AsyncIterator[Publish]:
    """Open a producer for the event loop of the shadow."""

    def make_producer() -> AIOKafkaProducer:
        return AIOKafkaProducer(**client_options(settings), compression_type="zstd")

    async with connect(make_producer) as producer:

        async def publish(found: Sequence[Disagreement]) -> None:
            for each in found:
                await producer.send(
                    settings.disagreements_topic,
                    encode_disagreement(each),
                    each.device_id.encode(),
                )

        yield publish
