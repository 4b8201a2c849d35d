"""Whole record batches: what the broker sends is what we read, or is found out."""

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.contracts.records import OneRecord
from streamer.kafka.batches import WholeBatch, as_records

NONE, ZSTD = 0, 4
HEADERS = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2)
MESSAGES = st.lists(
    st.tuples(
        st.integers(0, 2**41),
        st.none() | st.binary(max_size=200),
        st.none() | st.binary(max_size=200),
        HEADERS,
    ),
    min_size=1,
    max_size=20,
)
Message = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]


def batch_of(messages: list[Message], compression: int) -> bytes:
    """A batch as aiokafka's producer writes it."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for i, (timestamp, key, value, headers) in enumerate(messages):
        builder.append(i, timestamp=timestamp, key=key, value=value, headers=headers)
    return bytes(builder.build())


@settings(deadline=None)
@given(MESSAGES, st.sampled_from([NONE, ZSTD]))
def test_records_come_out_as_they_were_put_in(messages: list[Message], compression: int) -> None:
    batch = WholeBatch(batch_of(messages, compression))
    assert batch.validate_crc()
    [whole] = batch
    assert list(as_records([whole])) == [
        OneRecord(key, value, headers, timestamp, i)
        for i, (timestamp, key, value, headers) in enumerate(messages)
    ]


@settings(deadline=None)
@given(MESSAGES, st.data())
def test_a_flipped_bit_is_found_out(messages: list[Message], data: st.DataObject) -> None:
    damaged = bytearray(batch_of(messages, NONE))
    at = data.draw(st.integers(WholeBatch.ATTRIBUTES_OFFSET, len(damaged) - 1))
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    assert not WholeBatch(bytes(damaged)).validate_crc()
