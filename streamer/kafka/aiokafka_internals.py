"""Everything that uses private parts of aiokafka. Written for aiokafka 0.14.

It is one long module because an upgrade of aiokafka then needs a look at one file only.

`pyproject.toml` allows no later version before tests/kafka/test_aiokafka_internals.py has passed
with it. That test says in words which private part has changed.

Importing this module replaces two classes of aiokafka's fetcher. A consumer made with
``value_deserializer=whole_batches`` then gets record batches, still compressed, instead of one
Python object for each record: the objects cost more than all that is done with the records. What
aiokafka knows of offsets, checksums, aborted transactions and control batches stays in force. All
other consumers get records as before.
"""

import asyncio
import ssl
import uuid
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition, errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from aiokafka.consumer import fetcher
from aiokafka.protocol.admin import CreateAclsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)
from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from crc32c import crc32c

REFUSED_LOGINS = (
    errors.SaslAuthenticationFailed,
    errors.AuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
)
"""What aiokafka raises for a login that a broker refuses."""


class GroupFullError(errors.BrokerResponseError):  # type: ignore[misc]
    """The group has as many members as the brokers allow (GROUP_MAX_SIZE_REACHED)."""

    errno = 81
    message = "GROUP_MAX_SIZE_REACHED"


class InvalidRecordError(errors.BrokerResponseError):  # type: ignore[misc]
    """A topic does not take a record as it is (INVALID_RECORD)."""

    errno = 87
    message = "INVALID_RECORD"


# aiokafka does not know these codes, and would raise UnknownError.
errors.kafka_errors.update({each.errno: each for each in (GroupFullError, InvalidRecordError)})

Fields = tuple[int, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]
"""Timestamp in milliseconds, key, value and headers of a record."""


class TopicState(NamedTuple):
    """A topic as brokers describe it."""

    partitions: int
    topic_id: str
    """Identity of the topic: another one if it is deleted and made again. Empty if unknown."""


class WholeBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    """A record batch that counts as a single record, its last one.

    Attributes:
        count: records in the batch, as its header says.
        codec: number of the compression that Kafka's protocol gives it; 0 is none.
        wanted_from: offset of the first record that the consumer has asked for. The batch may begin
            before it.
    """

    wanted_from = 0

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

    @property
    def is_control_batch(self) -> bool:
        """Whether it has a transaction marker instead of records.

        A damaged batch does not count as one: aiokafka passes over markers without a word.
        """
        return bool(super().is_control_batch) and self.validate_crc()

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
            self._consumer_record = self._whole_batch

    def _whole_batch(self, _partition: TopicPartition, batch: WholeBatch) -> WholeBatch:
        batch.wanted_from = self.next_fetch_offset
        return batch


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


def bootstrap_connections(client: Any) -> tuple[list[tuple[str, int]], ssl.SSLContext | None]:
    """Return the addresses that a client of any kind was given, and its context for TLS."""
    inner = inner_client(client)
    tls = inner._ssl_context if inner._security_protocol.endswith("SSL") else None  # noqa: SLF001
    return [(host, port) for host, port, _family in inner.hosts], tls


async def find_refused_login(client: Any) -> tuple[str, errors.KafkaError] | None:
    """Return the first broker that refuses a client's login, and its error; None if none does.

    aiokafka only logs the error, and says that it cannot connect.
    """
    inner = inner_client(client)
    if not inner._security_protocol.startswith("SASL"):  # noqa: SLF001
        return None
    for host, port, _family in inner.hosts:
        try:
            connection = await create_conn(
                host,
                port,
                ssl_context=inner._ssl_context,  # noqa: SLF001
                security_protocol=inner._security_protocol,  # noqa: SLF001
                sasl_mechanism=inner._sasl_mechanism,  # noqa: SLF001
                sasl_plain_username=inner._sasl_plain_username,  # noqa: SLF001
                sasl_plain_password=inner._sasl_plain_password,  # noqa: SLF001
                sasl_oauth_token_provider=inner._sasl_oauth_token_provider,  # noqa: SLF001
            )
        except REFUSED_LOGINS as error:
            return f"{host}:{port}", error
        except (OSError, errors.KafkaError, TimeoutError):
            continue
        connection.close()
    return None


def check_group(consumer: AIOKafkaConsumer) -> None:
    """Raise the error with which joining the group has failed, if it has.

    aiokafka gives it to whoever fetches next; before an assignment nobody fetches.
    """
    consumer._coordinator.check_errors()  # noqa: SLF001


def member_id(consumer: AIOKafkaConsumer) -> str:
    """Return the id that the group has given this member; empty if the group does not know it."""
    return str(consumer._coordinator.member_id)  # noqa: SLF001


async def abandon_group(consumer: AIOKafkaConsumer) -> None:
    """Let a consumer take no further part in its group: it does not join again.

    Called in a callback of a rebalance, it does not return: the task that calls back is cancelled.
    """
    consumer._coordinator._coordination_task.cancel()  # noqa: SLF001
    await asyncio.sleep(0)


async def read_topics(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, TopicState]:
    """Return the identity of those topics that exist. None of the others is created.

    Raises:
        KafkaError: of aiokafka, if no broker answers.
    """
    try:
        response = await admin._send_request(_MetadataRequest(names))  # noqa: SLF001
    except NotImplementedError:  # by aiokafka, of a broker that does not know this version
        described = await admin.describe_topics()
        return {
            each["topic"]: TopicState(len(each["partitions"]), "")
            for each in described
            if each["topic"] in names
        }
    found = {}
    for code, name, topic_id, _internal, partitions, *_ in response.topics:
        if code == errors.NoError.errno:
            known = uuid.UUID(bytes=topic_id)
            found[name] = TopicState(len(partitions), known.hex if known.int else "")
        elif code != errors.UnknownTopicOrPartitionError.errno:
            raise errors.for_code(code)(name)
    return found


async def create_acl(
    admin: AIOKafkaAdminClient, request: CreateAclsRequest
) -> tuple[int, str | None]:
    """Ask for one ACL; aiokafka has the request, and no method for it.

    Returns:
        The error's number in Kafka's protocol, 0 for none, and what the broker says.

    Raises:
        KafkaError: of aiokafka, if no broker answers.
    """
    response = await admin._send_request(request)  # noqa: SLF001
    [(code, message)] = response.creation_responses
    return code, message


def inner_client(client: Any) -> Any:
    """Return the connections that a client of any kind works with."""
    return client.client if isinstance(client, AIOKafkaProducer) else client._client  # noqa: SLF001


class _Uuid:
    """16 bytes, in Kafka's protocol."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


class _MetadataResponse(Response):  # type: ignore[misc]
    """The first version that tells the identity of topics; aiokafka's own versions are older."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        no_tags: dict[int, bytes] = {}
        topics = [(bytes(16), name, no_tags) for name in self._names]
        return request_struct_class(topics, False, False, False, no_tags)


_MemoryRecords = fetcher.MemoryRecords
fetcher.MemoryRecords = _FetchedBytes
fetcher.PartitionRecords = _PartitionRecords
