"""What the broker sends of a partition is read as it was written, in parts of bounded size."""

import gzip
import tracemalloc
from collections.abc import Callable, Iterator

import cramjam
import lz4.frame
import pytest
import zstandard
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.contracts.dead_letters import CUT, LOST
from streamer.contracts.records import OneRecord, Records
from streamer.kafka import record_batches
from streamer.kafka.aiokafka_internals import Fields, WholeBatch, build_batch
from streamer.kafka.compression import GZIP, LZ4, NONE, SNAPPY, ZSTD
from streamer.kafka.record_batches import (
    KEPT_BYTES,
    LARGEST_RECORD,
    PART_BYTES,
    DamagedBatchError,
    unpack,
)

HEADERS = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2)
FIELDS = st.lists(
    st.tuples(
        st.integers(0, 2**41),
        st.none() | st.binary(max_size=200),
        st.none() | st.binary(max_size=200),
        HEADERS,
    ),
    min_size=1,
    max_size=20,
)
CODECS = {"none": NONE, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}


def expected(fields: list[Fields]) -> list[OneRecord]:
    return [
        OneRecord(key, value, headers, timestamp, i)
        for i, (timestamp, key, value, headers) in enumerate(fields)
    ]


def all_of(parts: Iterator[Records]) -> list[OneRecord]:
    return [record for part in parts for record in part]  # type: ignore[misc]


@settings(deadline=None)
@given(FIELDS, st.sampled_from(list(CODECS.values())))
def test_records_are_read_as_they_were_written(fields: list[Fields], codec: int) -> None:
    batch = WholeBatch(build_batch(fields, codec))
    assert batch.validate_crc()
    [whole] = batch
    assert all_of(unpack([whole])) == expected(fields)


@settings(deadline=None)
@given(FIELDS, st.data())
def test_a_flipped_bit_changes_the_checksum(fields: list[Fields], data: st.DataObject) -> None:
    damaged = bytearray(build_batch(fields))
    at = data.draw(st.integers(WholeBatch.ATTRIBUTES_OFFSET, len(damaged) - 1))
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    assert not WholeBatch(bytes(damaged)).validate_crc()


@settings(deadline=None)
@given(FIELDS, st.sampled_from(list(CODECS.values())), st.integers(1, 8), st.integers(300, 3000))
def test_the_size_of_a_part_changes_no_record(
    fields: list[Fields], codec: int, most_records: int, most_bytes: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_batches, "PART_RECORDS", most_records)
        patch.setattr(record_batches, "PART_BYTES", most_bytes)
        patch.setattr(record_batches, "LARGEST_RECORD", 1000 + most_bytes)
        parts = list(unpack([WholeBatch(build_batch(fields, codec))] * 2))
    assert all_of(iter(parts)) == expected(fields) * 2
    assert all(len(part) <= most_records for part in parts)


def batch_around(records: bytes, count: int, codec: int) -> WholeBatch:
    """A batch whose records were packed elsewhere."""
    whole = bytearray(build_batch([(5, b"k", None, [])] * count, NONE))
    header = WholeBatch.HEADER_STRUCT
    fields = list(header.unpack_from(whole))
    fields[5] = codec
    data = bytearray(header.pack(*fields) + records)
    seal(data)
    return WholeBatch(bytes(data))


def seal(batch: bytearray) -> None:
    """Write the checksum that a batch must have."""
    checksum = crc32c(memoryview(batch)[WholeBatch.ATTRIBUTES_OFFSET :])
    batch[WholeBatch.CRC_OFFSET : WholeBatch.ATTRIBUTES_OFFSET] = checksum.to_bytes(4, "big")


PACKERS: dict[int, Callable[[bytes], bytes]] = {
    GZIP: gzip.compress,
    SNAPPY: lambda data: bytes(cramjam.snappy.compress_raw(data)),
    LZ4: lz4.frame.compress,
    ZSTD: lambda data: zstandard.ZstdCompressor().compress(data),
}


def records_of(fields: list[Fields]) -> bytes:
    return bytes(build_batch(fields)[WholeBatch.HEADER_STRUCT.size :])


@pytest.mark.parametrize("codec", list(PACKERS), ids=["gzip", "snappy", "lz4", "zstd"])
def test_other_clients_frames_are_read_too(codec: int) -> None:
    fields: list[Fields] = [(i, b"phone", bytes(1000), []) for i in range(100)]
    batch = batch_around(PACKERS[codec](records_of(fields)), 100, codec)
    assert [record.value for record in all_of(unpack([batch]))] == [bytes(1000)] * 100


@pytest.mark.parametrize("codec", [NONE, ZSTD], ids=["none", "zstd"])
def test_a_part_has_no_more_bytes_than_may_be_processed_at_a_time(codec: int) -> None:
    #   records   1 kB each | 6 MB | 1 kB each
    #   parts     |---- at most 4 MB or one record ----|
    small: list[Fields] = [(i, b"a", bytes(1000), []) for i in range(6_000)]
    large: Fields = (6_000, b"a", bytes(6_000_000), [])
    batch = WholeBatch(build_batch([*small, large, *small], codec))
    parts = list(unpack([batch]))
    assert sum(map(len, parts)) == 12_001
    assert all(len(part.buffer) <= PART_BYTES or len(part) == 1 for part in parts)


@pytest.mark.parametrize("codec", [GZIP, LZ4, ZSTD], ids=["gzip", "lz4", "zstd"])
def test_a_batch_that_unpacks_to_200_mb_is_read_in_bounded_memory(codec: int) -> None:
    #   batch     2,000 records of 100 kB, packed to some hundred kilobytes
    #   parts     |-- 4 MB --|-- 4 MB --| ...
    fields: list[Fields] = [(i, b"phone", bytes(100_000), []) for i in range(2000)]
    packed = PACKERS[codec](records_of(fields))
    assert len(packed) < 1_000_000
    batch = batch_around(packed, 2000, codec)
    del fields, packed
    tracemalloc.start()
    count = sum(len(part) for part in unpack([batch]))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 2000
    assert most < 2 * LARGEST_RECORD


def test_batches_of_several_partitions_may_be_read_in_turns() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_batches, "PART_RECORDS", 3)
        fields: list[list[Fields]] = [
            [(i, b"phone", bytes([i, partition]) * 999, []) for i in range(20)]
            for partition in range(2)
        ]
        batches = [WholeBatch(build_batch(each, ZSTD)) for each in fields]
        in_turns = list(zip(unpack(batches[:1]), unpack(batches[1:]), strict=True))
    for partition in range(2):
        parts = iter([both[partition] for both in in_turns])
        assert all_of(parts) == expected(fields[partition])


def test_a_record_larger_than_a_part_is_cut_and_says_so() -> None:
    size = 3 * LARGEST_RECORD
    fields: list[Fields] = [
        (1, b"a", b"before", []),
        (2, b"phone", bytes(size), [("content-type", b"x")]),
        (3, b"c", b"after", [("h", b"1")]),
    ]
    before, cut, after = all_of(unpack([WholeBatch(build_batch(fields, ZSTD))]))
    assert [before, after] == [expected(fields)[0], expected(fields)[2]]
    assert (cut.offset, cut.timestamp, cut.key, cut.value) == (1, 2, b"phone", bytes(KEPT_BYTES))
    [(name, said)] = cut.headers
    assert name == CUT
    assert int(said or b"") > size


@pytest.mark.parametrize(
    ("count", "change", "problem"),
    [
        (3, lambda data: data, "1 records are missing"),
        (1, lambda data: data, "bytes follow the last record"),
        (2, lambda data: data[:-3], "records are missing"),
        (2, lambda data: b"\x01" + data[1:], "malformed"),
        (2, lambda data: data[:4] + b"\xfe\xff\xff\xff\x0f" + data[9:], "malformed"),
    ],
)
def test_a_batch_that_contradicts_its_header_is_named(
    count: int, change: Callable[[bytes], bytes], problem: str
) -> None:
    records = records_of([(i, b"phone", b"value", []) for i in range(2)])
    batch = batch_around(PACKERS[ZSTD](change(records)), count, ZSTD)
    with pytest.raises(DamagedBatchError, match=rf"records \d+ to {count - 1} .*{problem}"):
        list(unpack([batch]))


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_damaged_compressed_bytes_are_named(codec: int) -> None:
    packed = PACKERS[codec](records_of([(i, b"phone", bytes([i] * 99), []) for i in range(99)]))
    with pytest.raises(DamagedBatchError, match=r"records \d+ to 98 cannot be read"):
        list(unpack([batch_around(packed[: len(packed) // 2], 99, codec)]))


def test_records_before_a_damaged_batch_are_read_and_the_batch_can_be_skipped() -> None:
    #   batches   0 1 2 | damaged: 0 1 2 | 0 1 2    (offsets are those in each batch)
    fields: list[Fields] = [(5, b"phone", b"value", [])] * 3
    good, wrong = build_batch(fields), bytearray(build_batch(fields))
    wrong[-1] ^= 1
    batches = [WholeBatch(good), WholeBatch(bytes(wrong)), WholeBatch(good)]
    parts = unpack(batches)
    assert list(next(parts)) == expected(fields)
    with pytest.raises(DamagedBatchError, match=r"records 0 to 2 .*checksum"):
        next(parts)
    records = all_of(unpack(batches, skipped=[2]))
    assert records == [
        *expected(fields),
        OneRecord(None, None, [(LOST, b"0-2")], 5, 2),
        *expected(fields),
    ]


def test_a_record_says_whether_the_broker_has_set_its_timestamp() -> None:
    batch = bytearray(build_batch([(7, b"a", b"x", []), (5, b"a", b"y", [])]))
    [created] = unpack([WholeBatch(bytes(batch))])
    batch[WholeBatch.ATTRIBUTES_OFFSET + 1] |= 8
    seal(batch)
    [appended] = unpack([WholeBatch(bytes(batch))])
    assert (created.timestamp.tolist(), created.appended.tolist()) == ([7, 5], [False, False])
    assert (appended.timestamp.tolist(), appended.appended.tolist()) == ([7, 7], [True, True])


def test_a_batch_whose_header_has_a_negative_number_of_records_is_damaged() -> None:
    whole = bytearray(build_batch([(5, b"k", b"v", [])]))
    whole[57:61] = (-3).to_bytes(4, "big", signed=True)
    whole[17:21] = crc32c(bytes(whole[21:])).to_bytes(4, "big")
    with pytest.raises(DamagedBatchError, match="its header says that it has -3 records"):
        list(unpack([WholeBatch(bytes(whole))]))
