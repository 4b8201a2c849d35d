"""The private parts of aiokafka that are used are still there, and what has changed if not.

When a new version of aiokafka breaks one of these tests, change `aiokafka_internals.py`, which is
the only user of private parts, and raise the bound in `pyproject.toml`.
"""

import inspect
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.group import JoinGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

import streamer
from streamer.kafka import aiokafka_internals
from streamer.kafka.aiokafka_internals import (
    GroupFullError,
    InvalidRecordError,
    WholeBatch,
    build_batch,
)

WRITTEN_FOR = "0.14"
PACKAGE = Path(streamer.__file__).parent
PRIVATE = re.compile(r"\b(consumer|admin|client|producer|coordinator|inner)\._[a-z]")


def test_the_version_is_one_that_the_private_parts_were_looked_at_in() -> None:
    assert version("aiokafka").startswith(f"{WRITTEN_FOR}."), (
        "another version of aiokafka: read the other tests here, then change WRITTEN_FOR"
    )
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    needed = project["project"]["dependencies"]
    [bound] = [each for each in needed if each.startswith("aiokafka[")]
    assert f">={WRITTEN_FOR}" in bound, "pyproject.toml must bound aiokafka's version"
    assert "<0.15" in bound, "pyproject.toml must bound aiokafka's version"


def test_only_one_module_uses_private_parts() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "aiokafka_internals.py" and "aiokafka" in path.read_text(encoding="utf-8")
        for line in path.read_text(encoding="utf-8").splitlines()
        if PRIVATE.search(line)
    ]
    assert found == [], "private parts of aiokafka belong into aiokafka_internals.py"


def test_the_fetcher_still_makes_the_two_classes_that_we_replace() -> None:
    assert fetcher.PartitionRecords is aiokafka_internals._PartitionRecords
    assert fetcher.MemoryRecords is aiokafka_internals._FetchedBytes
    source = inspect.getsource(fetcher.Fetcher._proc_fetch_request)
    assert "MemoryRecords(part_data[-1])" in source, (
        "the fetcher no longer wraps the bytes of a partition in MemoryRecords"
    )
    assert "PartitionRecords(" in source, "the fetcher no longer makes PartitionRecords"
    parameters = list(inspect.signature(fetcher.PartitionRecords.__mro__[1].__init__).parameters)
    assert parameters[2] == "records", "the second argument of PartitionRecords was the records"
    assert "value_deserializer" in parameters, "PartitionRecords had a value_deserializer"


def test_the_fetcher_uses_only_members_that_a_whole_batch_has() -> None:
    source = inspect.getsource(fetcher.PartitionRecords.__mro__[1]._unpack_records)
    asked = set(re.findall(r"next_batch\.(\w+)", source))
    assert asked == {
        *("validate_crc", "producer_id", "base_offset", "next_offset"),
        *("is_control_batch", "is_transactional"),
    }, "the fetcher asks something new of a batch: does WholeBatch answer it right?"
    assert "self._consumer_record(tp, record)" in source, (
        "records no longer pass through _consumer_record, which we replace"
    )
    assert re.findall(r"\brecord\.(\w+)", source) == ["offset", "offset"], (
        "the fetcher asks something new of a record, which for us is a whole batch"
    )


def test_batches_still_hold_their_bytes_and_their_header_where_we_look() -> None:
    batch = WholeBatch(build_batch([(7, b"key", b"value", []), (8, None, None, [])]))
    assert (batch.base_offset, batch.offset, batch.count) == (0, 1, 2)
    assert bytes(batch.payload[:1]) == b"\x1c", "records no longer follow HEADER_STRUCT in _buffer"
    assert {"_buffer", "_num_records"} <= vars(_DefaultRecordBatchPy(batch._buffer)).keys()
    assert batch.append_time_ms is None
    assert hasattr(_MemoryRecordsPy, "_cache_next"), "slices were found by _cache_next"


def test_clients_still_keep_their_connections_where_we_look() -> None:
    for client in (AIOKafkaConsumer, AIOKafkaAdminClient):
        assert "self._client = AIOKafkaClient(" in inspect.getsource(client.__init__)
    assert "self.client = AIOKafkaClient(" in inspect.getsource(AIOKafkaProducer.__init__)
    assert isinstance(AIOKafkaClient.hosts, property), "a client's addresses were its `hosts`"
    source = inspect.getsource(AIOKafkaClient.__init__)
    for name in ("_ssl_context", "_security_protocol"):
        assert f"self.{name} = " in source, f"a client had its option as {name}"


def test_the_coordinator_still_has_the_attributes_that_we_read() -> None:
    for name in ("check_errors", "_coordination_task", "member_id"):
        assert f"{name}" in inspect.getsource(GroupCoordinator), f"GroupCoordinator had {name}"
    source = inspect.getsource(GroupCoordinator.reset_generation)
    assert "self.member_id = JoinGroupRequest.UNKNOWN_MEMBER_ID" in source, (
        "a member that the group does not know any more had an empty id"
    )
    assert JoinGroupRequest.UNKNOWN_MEMBER_ID == ""
    source = inspect.getsource(GroupCoordinator._on_join_prepare)
    assert "except Exception" in source, "the revocation callback could be cancelled in there"
    assert "self._coordinator = GroupCoordinator(" in inspect.getsource(AIOKafkaConsumer.start)


def test_the_admin_client_still_sends_requests_of_other_versions() -> None:
    parameters = inspect.signature(AIOKafkaAdminClient._send_request).parameters
    assert list(parameters) == ["self", "request", "node_id"]
    newest = MetadataRequest._CLASSES[-1]
    assert newest.API_VERSION < aiokafka_internals._MetadataResponse.API_VERSION, (
        "aiokafka has a version of its own now that tells the identity of topics: use it"
    )


@pytest.mark.parametrize("error", [GroupFullError, InvalidRecordError])
def test_a_code_that_aiokafka_does_not_know_raises_an_error_of_ours(
    error: type[errors.BrokerResponseError],
) -> None:
    assert errors.for_code(error.errno) is error
