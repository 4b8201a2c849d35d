"""Writes ground truth to Kafka, one label at a time: people send few."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError as AIOKafkaError

from streamer.contracts.ground_truth import ActivityLabel
from streamer.errors import KafkaError
from streamer.gateway.reading_queue import Busy
from streamer.kafka.client import connect
from streamer.kafka.ground_truth import make_label_producer, send_label
from streamer.kafka.topics import ensure_labels
from streamer.settings import GatewaySettings

log = structlog.get_logger(__name__)

_RETRY_S: Final = 5
"""What clients are told to wait before they try again."""


class LabelsWriter:
    """Connects to Kafka with the first label, and again after an error. Close it at the end."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._lock = asyncio.Lock()
        self._open = AsyncExitStack()
        self._producer: AIOKafkaProducer | None = None

    async def write(self, label: ActivityLabel) -> None:
        """Write a label; return when all replicas in sync have it.

        Raises:
            Busy: Kafka has not acknowledged it in time. It may be in the topic nevertheless: the
                same label twice means the same.
        """
        try:
            async with asyncio.timeout(self._settings.gateway_ack_timeout_s), self._lock:
                try:
                    await send_label(await self._connected(), self._settings, label)
                except BaseException:
                    await self.close()
                    raise
        except (AIOKafkaError, KafkaError, TimeoutError) as error:
            log.warning("cannot write a label; the client is told to try again", error=repr(error))
            raise Busy("Kafka has not taken the label", _RETRY_S) from None

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            await ensure_labels(self._settings, self._settings.gateway_ack_timeout_s)
            self._producer = await self._open.enter_async_context(
                connect(lambda: make_label_producer(self._settings))
            )
        return self._producer

    async def close(self) -> None:
        """Close the connection; the next label opens another one."""
        self._producer = None
        before, self._open = self._open, AsyncExitStack()
        await before.aclose()
