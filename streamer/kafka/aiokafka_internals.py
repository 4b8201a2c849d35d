"""Everything that uses private parts of aiokafka. Written for aiokafka 0.14.

`pyproject.toml` allows no later version before tests/kafka/test_aiokafka_internals.py has passed
with it. That test says in words which private part has changed.

Importing this module replaces two classes of aiokafka's fetcher. A consumer made with
``value_deserializer=whole_batches`` then gets record batches, still compressed, instead of one
Python object for each record: the objects cost more than all that is done with the records. What
aiokafka knows of offsets, checksums, aborted transactions and control batches stays in force. All
other consumers get records as before.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from crc32c import crc32c

Fields = tuple[int, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]
"""Timestamp in milliseconds, key, value and headers of a record."""


class WholeBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    """A record batch that counts as a single record, its last one.

    Attributes:
        count: records in the batch, as its header says.
        codec: number of the compression that Kafka's protocol gives it; 0 is none.
    """

    @property
    def offset(self) -> int:
        """Offset of the last record, so that nobody skips a batch that is needed in part."""
        return int(self.next_offset) - 1

    @property
    def count(self) -> int:
        """Number of records, as the header of the batch says."""
        return int(self._num_records)

    @property
    def payload(self) -> memoryview:
        """The records, compressed if the batch is."""
        return memoryview(self._buffer)[self.HEADER_STRUCT.size :]

    @property
    def append_time_ms(self) -> int | None:
        """Timestamp of all records on a topic with LogAppendTime, else None."""
        return int(self.max_timestamp) if self.timestamp_type == self.LOG_APPEND_TIME else None

    def __iter__(self) -> Iterator["WholeBatch"]:
        yield self

    def validate_crc(self) -> bool:
        """Return whether the checksum is that of the contents."""
        return crc32c(memoryview(self._buffer)[self.ATTRIBUTES_OFFSET :]) == int(self.crc)


class _FetchedBytes:
    """What a fetch response holds of a partition, before it is known for which consumer."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._records = _MemoryRecords(data)
        self.has_next = self._records.has_next
        self.next_batch = self._records.next_batch
        self.size_in_bytes = self._records.size_in_bytes


class _WholeBatches(_MemoryRecordsPy):  # type: ignore[misc]
    """The batches of a fetch response."""

    def next_batch(self) -> WholeBatch:
        begin = self._next_slice
        self._cache_next()
        return WholeBatch(begin)


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Gives batches to a consumer that has asked for them."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if self._value_deserializer is whole_batches:
            self._records: Any = _WholeBatches(args[1].data)
            self._consumer_record = lambda _partition, batch: batch


def whole_batches(value: bytes) -> bytes:
    """Mark, as its ``value_deserializer``, a consumer that wants `WholeBatch`es."""
    return value


def build_batch(records: Iterable[Fields], codec: int = 0) -> bytes:
    """Return records as the batch that a producer sends.

    Args:
        records: in their order; the first one gets the offset 0.
        codec: number of the compression.
    """
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 30,
    )
    for i, (timestamp, key, value, headers) in enumerate(records):
        builder.append(i, timestamp=timestamp, key=key, value=value, headers=list(headers))
    return bytes(builder.build())


def bootstrap_addresses(client: Any) -> str:
    """Return the addresses that a client of any kind was given, comma-separated."""
    return ",".join(f"{host}:{port}" for host, port, _family in inner_client(client).hosts)


def inner_client(client: Any) -> Any:
    """Return the connections that a client of any kind works with."""
    return client.client if isinstance(client, AIOKafkaProducer) else client._client  # noqa: SLF001


_MemoryRecords = fetcher.MemoryRecords
fetcher.MemoryRecords = _FetchedBytes
fetcher.PartitionRecords = _PartitionRecords
