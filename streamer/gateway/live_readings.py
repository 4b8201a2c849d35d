"""Reads the readings of single devices from Kafka as they arrive, for the page that draws them.

It reads the topic and not what this gateway has received: a device may write to Kafka itself, or
through another gateway. A partition that somebody looks at is read once for all who do.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from aiokafka.errors import KafkaError as AIOKafkaError

from streamer.contracts.readings import Decoded
from streamer.contracts.records import Records
from streamer.errors import StreamerError
from streamer.kafka.reader import open_reader
from streamer.kafka.topic_records import TopicRecord, fetch_parts, list_records
from streamer.profiles.choose_decoder import make_decoder
from streamer.settings import Settings

log = structlog.get_logger(__name__)

MOST_PARTITIONS: Final = 16
"""Partitions that are read at the same time."""

_POLL_MS: Final = 500
_WAITING: Final = 100
"""Fetches that may wait for one viewer; the oldest ones are dropped."""

Arrived = asyncio.Queue[Records]


class TooManyPartitions(Exception):  # noqa: N818 - a limit, not an error of the program
    """No more devices can be looked at now."""


class LiveReadings:
    """The partitions that are read, and who looks at which device."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._decode = make_decoder(
            settings.readings_format, settings.schema_registry, settings.registry_login
        )
        self._viewers: dict[int, dict[Arrived, bytes]] = {}
        self._reading: dict[int, asyncio.Task[None]] = {}
        self.is_closed = False
        """Whether nobody gets readings any more, because the gateway ends."""

    @asynccontextmanager
    async def look(self, device_id: str, partition: int) -> AsyncIterator[Arrived]:
        """Queue the records of a device while the context is open.

        Raises:
            TooManyPartitions: as many partitions are read as may be.
        """
        if partition not in self._viewers:
            if len(self._viewers) >= MOST_PARTITIONS:
                raise TooManyPartitions
            self._viewers[partition] = {}
            self._reading[partition] = asyncio.create_task(self._read(partition))
        arrived = Arrived(_WAITING)
        viewers = self._viewers[partition]
        viewers[arrived] = device_id.encode()
        try:
            yield arrived
        finally:
            del viewers[arrived]
            if not viewers:
                del self._viewers[partition]
                reading = self._reading.pop(partition)
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading

    def close(self) -> None:
        """Wake all viewers, because the gateway ends."""
        self.is_closed = True
        for viewers in self._viewers.values():
            for arrived in viewers:
                _put(arrived, Records.of([]))

    def decode(self, records: Records) -> Decoded:
        """Return the samples of records, in the units of the contract; rejects have none."""
        return self._decode(records, round(self._settings.max_future_skew_s * 1e6))

    async def _read(self, partition: int) -> None:
        """Read a partition until cancelled."""
        topic = self._settings.readings_topic
        while True:
            try:
                async with open_reader(
                    self._settings, topic, "latest", partition=partition
                ) as consumer:
                    while True:
                        async for _, records in fetch_parts(consumer, _POLL_MS):
                            self._give(partition, list(list_records(partition, records)))
            except (StreamerError, AIOKafkaError) as error:
                log.warning(
                    "readings cannot be shown, trying again",
                    partition=f"{topic}[{partition}]",
                    why=str(error),
                )
                await asyncio.sleep(1)

    def _give(self, partition: int, records: Sequence[TopicRecord]) -> None:
        for arrived, key in self._viewers[partition].items():
            own = [record for record in records if record.key == key]
            if own:
                _put(arrived, Records.of(own))


def _put(arrived: Arrived, records: Records) -> None:
    """Queue records; the oldest ones make room for them."""
    if arrived.full():
        arrived.get_nowait()
    arrived.put_nowait(records)
