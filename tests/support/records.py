"""Records as devices might publish them, good and bad, for property-based tests."""

import json
import math
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.contracts import decode as decoding
from streamer.contracts.encode import encode
from streamer.contracts.readings import (
    ACC,
    BOTH_SENSORS,
    CONTENT_TYPE,
    CONTENT_TYPES,
    GYRO,
    SECONDS_SINCE_2001,
    SECONDS_UNTIL_2100,
    Decoded,
    Format,
    Record,
    RejectReason,
)
from streamer.contracts.records import Records

NOW_MS = 1_763_906_400_000
SKEW_US = 300_000_000
JSON_TYPE, MSGPACK_TYPE, F32_TYPE = (CONTENT_TYPES[form] for form in Format)


def decode(records: Iterable[Record], max_future_skew_us: int) -> Decoded:
    """Decode single records as one fetch."""
    return decoding.decode(Records.of(records), max_future_skew_us)


@dataclass(frozen=True)
class ARecord:
    """Like aiokafka's ConsumerRecord, as far as anybody here looks at it."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int = NOW_MS
    offset: int = 0


@dataclass(frozen=True)
class Good:
    """A record to accept, and what is to come of it."""

    record: ARecord
    device_id: str
    time_us: list[int]
    values: Floats
    """NaN in the columns of a sensor that is missing."""


@dataclass(frozen=True)
class Bad:
    """A record to refuse, and the reasons that would be right."""

    record: ARecord
    reasons: frozenset[RejectReason]


def record(
    device_id: str, timestamp_ms: float, interval_ms: float | None, samples: Any, form: Format
) -> ARecord:
    key, value, headers = encode(device_id, timestamp_ms, interval_ms, np.array(samples), form)
    return ARecord(key, value, tuple(headers))


def fields(**changes: object) -> dict[str, object]:
    """A batch of two samples as plain data, with some fields changed."""
    return {
        "device_id": "phone-17",
        "timestamp": NOW_MS,
        "interval_ms": 20,
        "acc": [[0.01, -0.98, 0.12], [0.02, -0.97, 0.11]],
        "gyro": [[0.02, 0.0, -0.01], [0.01, 0.0, -0.02]],
    } | changes


def as_json(data: object) -> ARecord:
    """The JSON of Python: NaN and infinity are written as the literals that JSON forbids."""
    return ARecord(b"phone-17", json.dumps(data).encode())


def as_msgpack(data: object) -> ARecord:
    return ARecord(b"phone-17", msgspec.msgpack.encode(data), (("content-type", MSGPACK_TYPE),))


def as_f32(
    version: int,
    count: int,
    timestamp: float,
    interval: float,
    samples: list[float],
    sensors: int = 0,
) -> ARecord:
    form = f"<HHIdd{len(samples)}f"
    value = struct.pack(form, version, sensors, count, timestamp, interval, *samples)
    return ARecord(b"phone-17", value, (("content-type", F32_TYPE),))


formats = st.sampled_from(Format)
device_ids = st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60
) | st.sampled_from(["phone-17", "watch/2", "手机"])
timestamps = (st.integers(0, NOW_MS) | st.floats(0, NOW_MS)).filter(
    lambda timestamp: not SECONDS_SINCE_2001 <= timestamp <= SECONDS_UNTIL_2100
)
headers_of_others = st.lists(
    st.tuples(
        st.text(max_size=5).filter(lambda name: name != CONTENT_TYPE)
        | st.sampled_from(["Content-Type", "content-type ", "streamer-reason", "\x00"]),
        st.none() | st.binary(max_size=5),
    ),
    max_size=3,
).map(tuple)
intervals = st.sampled_from([20, 20.0, 10, 1000 / 60, 0.5]) | st.floats(1e-3, 29)


@st.composite
def good(draw: st.DrawFn) -> Good:
    form = draw(formats)
    device_id = draw(device_ids)
    timestamp = draw(timestamps)
    interval = draw(st.none() | intervals)
    n = 1 if interval is None else draw(st.sampled_from([1, 2, 3, 50]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([0.0, 1e-300, 1.0, 160.0]))
    values = scale * rng.uniform(-1, 1, (n, 6))
    if missing := draw(st.sampled_from(["", "", "acc", "gyro"])):
        values[:, : 3 if missing == "acc" else 6][:, 0 if missing == "acc" else 3 :] = np.nan
    accepted = record(device_id, timestamp, interval, values, form)
    if form is Format.F32:
        values = values.astype("<f4").astype(float)
    accepted = replace(accepted, headers=(*draw(headers_of_others), *accepted.headers))
    step_us = (interval or 0.0) * 1000
    return Good(
        accepted,
        device_id,
        [round(timestamp * 1000) + round(j * step_us) for j in range(n)],
        values,
    )


def _bad(*reasons: RejectReason) -> Callable[[ARecord], Bad]:
    return lambda refused: Bad(refused, frozenset(reasons))


def _typed(*reasons: RejectReason) -> Callable[[dict[str, object]], st.SearchStrategy[Bad]]:
    """The same plain data as JSON and as MessagePack."""
    return lambda data: st.sampled_from([as_json(data), as_msgpack(data)]).map(_bad(*reasons))


_nonsense: st.SearchStrategy[object] = st.sampled_from(
    [None, True, "20", "", [], {}, [None], [[]], {"x": 1}, [["a"]], [1, 2]]
)
_not_a_number = st.sampled_from([math.nan, math.inf, -math.inf])
_impossible = st.floats(350.01, 1e38) | st.floats(-1e38, -350.01)
_names = st.sampled_from(["device_id", "timestamp", "interval_ms", "acc", "gyro"])
_rows = st.sampled_from([0, 1, 3, 10_001]).map(lambda n: [[0.0, 0.0, 1.0]] * n)


def _with_key(accepted: Good, key: bytes | None) -> Bad:
    return Bad(replace(accepted.record, key=key), frozenset({RejectReason.KEY}))


def _truncated(accepted: Good, share: float) -> Bad:
    whole = accepted.record.value
    assert whole is not None
    cut = replace(accepted.record, value=whole[: int(share * len(whole))])
    return Bad(cut, frozenset({RejectReason.MALFORMED}))


def _with_headers(accepted: Good, content_type: bytes | None) -> Bad:
    headers = (*accepted.record.headers, ("content-type", content_type))
    return Bad(replace(accepted.record, headers=headers), frozenset({RejectReason.CONTENT_TYPE}))


def _with_one_value(value: float, position: int) -> list[float]:
    samples = [0.0] * 12
    samples[position] = value
    return samples


def _batch_with_one_value(value: float, position: int) -> dict[str, object]:
    rows = [_with_one_value(value, position)[i : i + 3] for i in range(0, 12, 3)]
    return fields(acc=rows[:2], gyro=rows[2:])


_random_bytes = st.builds(
    ARecord,
    st.just(b"phone-17"),
    st.binary(max_size=60),
    st.sampled_from([(), (("content-type", MSGPACK_TYPE),), (("content-type", F32_TYPE),)]),
)

bad: st.SearchStrategy[Bad] = st.one_of(
    good().map(lambda g: replace(g.record, value=None)).map(_bad(RejectReason.TOMBSTONE)),
    st.builds(
        _with_key,
        good(),
        st.sampled_from([None, b"", b"\xff\xfe", b"d" * 10_000, "é".encode() * 128]),
    ),
    st.builds(
        lambda g: _with_key(g, g.record.key + b"-2"),
        good().filter(lambda g: ("content-type", F32_TYPE) not in g.record.headers),
    ),
    st.just(as_json(fields(device_id="d" * 10_000))).map(_bad(RejectReason.KEY)),
    st.builds(
        _with_headers,
        good(),
        st.sampled_from([None, b"", b"text/csv", b"\xff", b"application/jsonx", b"json"]),
    ),
    st.builds(_truncated, good(), st.floats(0, 1, exclude_max=True)),
    st.sampled_from([b"[" * 5000, b'{"a":' * 5000, b"{}{}", b"\xef\xbb\xbf{}", b"{'a': 1}"])
    .map(lambda value: ARecord(b"phone-17", value))
    .map(_bad(RejectReason.MALFORMED, RejectReason.SCHEMA)),
    st.sampled_from([as_json(fields()), as_msgpack(fields())])
    .map(lambda r: replace(r, value=(r.value or b"").replace(b"phone-17", b"phone-\xff7")))
    .map(_bad(RejectReason.MALFORMED)),
    _random_bytes.map(_bad(RejectReason.MALFORMED, RejectReason.SCHEMA)),
    st.builds(lambda name, value: fields(**{name: value}), _names, _nonsense).flatmap(
        _typed(RejectReason.SCHEMA, RejectReason.KEY)
    ),
    st.sampled_from(["device_id", "timestamp", "interval_ms"])
    .map(lambda name: {k: v for k, v in fields().items() if k != name})
    .flatmap(_typed(RejectReason.SCHEMA)),
    st.just({k: v for k, v in fields().items() if k not in ("acc", "gyro")}).flatmap(
        _typed(RejectReason.SCHEMA)
    ),
    st.builds(lambda acc: fields(acc=acc), _rows).flatmap(_typed(RejectReason.SCHEMA)),
    st.sampled_from([0, -20, 60_001, 1e300])
    .map(lambda interval: fields(interval_ms=interval))
    .flatmap(_typed(RejectReason.SCHEMA)),
    st.builds(_batch_with_one_value, _impossible, st.integers(0, 11)).flatmap(
        _typed(RejectReason.VALUE)
    ),
    st.builds(_batch_with_one_value, _not_a_number, st.integers(0, 11))
    .map(as_json)
    .map(_bad(RejectReason.MALFORMED)),
    st.builds(_batch_with_one_value, _not_a_number, st.integers(0, 11))
    .map(as_msgpack)
    .map(_bad(RejectReason.VALUE)),
    st.builds(_with_one_value, _not_a_number | _impossible, st.integers(0, 11))
    .map(lambda samples: as_f32(1, 2, NOW_MS, 20, samples))
    .map(_bad(RejectReason.VALUE)),
    st.builds(_with_one_value, _not_a_number | _impossible, st.integers(0, 11))
    .map(lambda samples: as_f32(1, 4, NOW_MS, 20, samples, GYRO))
    .map(_bad(RejectReason.VALUE)),
    st.sampled_from(
        [-1, -1e-9, -1e300, 1e300, 253402300800000, NOW_MS / 1000, NOW_MS * 1000, NOW_MS * 10**6]
    )
    .map(lambda timestamp: fields(timestamp=timestamp))
    .flatmap(_typed(RejectReason.TIMESTAMP)),
    _not_a_number.map(lambda t: as_f32(1, 1, t, 0, [0.0] * 6)).map(_bad(RejectReason.TIMESTAMP)),
    st.sampled_from([300_001, 299_990, 1e7])
    .map(lambda ahead: fields(timestamp=NOW_MS + ahead))
    .flatmap(_typed(RejectReason.FUTURE)),
    st.sampled_from([(0, 1, 0), (2, 1, 0), (1, 2, 0), (1, 0, 20), (1, 2**32 - 1, 20)])
    .map(lambda header: as_f32(header[0], header[1], NOW_MS, header[2], [0.0] * 6))
    .map(_bad(RejectReason.MALFORMED)),
    st.sampled_from([(ACC, 1), (GYRO, 3), (BOTH_SENSORS, 2), (4, 1), (5, 2), (2**16 - 1, 2)])
    .map(lambda told: as_f32(1, told[1], NOW_MS, 20, [0.0] * 6, told[0]))
    .map(_bad(RejectReason.MALFORMED)),
    st.sampled_from([(0, 20.0), (2, 0.0), (2, -1.0), (2, math.nan), (10_001, 20.0)])
    .map(lambda header: as_f32(1, header[0], NOW_MS, header[1], [0.0] * 6 * header[0]))
    .map(_bad(RejectReason.SCHEMA)),
)
"""Every kind of bad record; times are such that a good one never is in the future."""
