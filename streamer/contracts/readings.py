"""Readings: what a device publishes, its form after decoding, and the reasons to reject it.

A record holds one sample or a batch of consecutive samples, in one of three formats. After
`streamer.contracts.decode` the format makes no difference. `docs/contracts.md` has the contract.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from streamer.arrays import Bytes, Floats, Ints

LARGEST_BATCH = 10_000
"""Largest number of samples in one record."""

LONGEST_INTERVAL_MS = 60_000.0
"""Longest time between two samples of a batch."""

LATEST_TIMESTAMP_MS = 253_402_300_799_999.0
"""The end of the year 9999; a larger number is a time in another unit."""

SECONDS_SINCE_2001 = 1e9
SECONDS_UNTIL_2100 = 4.1e9
"""A number between these, or 10**6 or 10**9 times as large, is a time of these years in seconds,
microseconds or nanoseconds. In milliseconds it would be a day of January or February 1970."""

LONGEST_DEVICE_ID = 255
"""Bytes of UTF-8."""

LARGEST_ACCELERATION = 160.0
"""In g, in either direction; sensors on a body measure less than a tenth of it."""

LARGEST_ROTATION = 350.0
"""In rad/s, in either direction: 20,000 degrees a second."""

CONTENT_TYPE = "content-type"
"""The record header that names the format. The last one counts; without it, JSON."""


class Format(StrEnum):
    """Encoding of a reading."""

    JSON = "json"
    MSGPACK = "msgpack"
    F32 = "f32"


CONTENT_TYPES = {
    Format.JSON: b"application/json",
    Format.MSGPACK: b"application/msgpack",
    Format.F32: b"application/x-streamer-f32",
}


class Record(Protocol):
    """The parts of a Kafka record that are used; aiokafka's `ConsumerRecord` is one."""

    @property
    def key(self) -> bytes | None:
        """The device id."""

    @property
    def value(self) -> bytes | None:
        """The reading."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """In their order; Kafka allows a name to occur twice, and a value of null."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch, by Kafka's clock."""

    @property
    def offset(self) -> int:
        """Position in the partition."""


Axes = tuple[float, float, float]
Rows = Annotated[list[Axes], msgspec.Meta(min_length=1, max_length=LARGEST_BATCH)]

ACC = 1
GYRO = 2
BOTH_SENSORS = ACC | GYRO
"""Bits that say which sensors a sample has."""


class Sample(msgspec.Struct, gc=False):
    """One sample in JSON or MessagePack."""

    device_id: str
    timestamp: float
    """Milliseconds since the epoch."""
    acc: Axes | UnsetType = UNSET
    """Total acceleration in g, gravity included."""
    gyro: Axes | UnsetType = UNSET
    """Rotation in rad/s."""

    interval_ms: ClassVar[float] = 0.0
    count: ClassVar[int] = 1


class SampleBatch(msgspec.Struct, gc=False):
    """Consecutive samples in JSON or MessagePack; the first one is at `timestamp`."""

    device_id: str
    timestamp: float
    interval_ms: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_INTERVAL_MS)]
    acc: Rows | UnsetType = UNSET
    gyro: Rows | UnsetType = UNSET

    @property
    def count(self) -> int:
        """Number of samples: the length of the longer one of acc and gyro."""
        return max(len(self.acc or ()), len(self.gyro or ()))


class RejectReason(StrEnum):
    """Why a record was rejected. A record with several faults has the first one in this order.

    There is one exception: a key is compared with the reading after the schema was checked.
    """

    TOMBSTONE = "tombstone"
    """The record has no value. It does not delete anything."""
    KEY = "key"
    """The key is missing, empty, too long, not UTF-8, or not the `device_id` of the reading."""
    CONTENT_TYPE = "content_type"
    """The `content-type` header names no known format."""
    MALFORMED = "malformed"
    """The value is not well-formed in its format: cut short, trailing bytes, not JSON."""
    SCHEMA = "schema"
    """Well-formed, but a field is missing or has the wrong type, shape, length or interval."""
    TIMESTAMP = "timestamp"
    """The time is negative, after the year 9999, or not a number."""
    VALUE = "value"
    """A sample is not a number, infinite, or larger than a body can cause."""
    FUTURE = "future"
    """The last sample is further ahead of the record's Kafka timestamp than the settings allow."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was rejected as a whole."""

    record: int
    """Index into the records given to `decode`."""
    reason: RejectReason
    detail: str
    """For people: what is wrong, and where."""
    samples: int
    """Number of samples lost; 1 if it cannot be known."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """The s samples of many records as columns, in the order of the records."""

    record: Ints
    """(s,) Index into the records given to `decode`."""
    device: npt.NDArray[np.intp]
    """(s,) Index into `device_ids`."""
    device_ids: list[str]
    """The devices that have samples here, each once, in order of first appearance."""
    time_us: Ints
    """(s,) Microseconds since the epoch."""
    values: Floats
    """(s, 6) Acceleration x y z in g, rotation x y z in rad/s; finite and within the limits. The
    columns of a sensor that a sample does not have are NaN."""
    sensors: Bytes
    """(s,) `ACC`, `GYRO` or both: the sensors that each sample has."""
    complete: bool
    """Whether every sample has both sensors."""
    rejects: list[Reject]
    """The records that have no samples here, in their order."""


class Rejection(Exception):  # noqa: N818 - about a record, not an error of the program
    """Raised while one record is read; `decode` makes a `Reject` of it."""

    def __init__(self, reason: RejectReason, detail: str, samples: int = 1) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.samples = samples
