"""Readings: what a device publishes, what becomes of it, and why some of it is refused.

A record carries one sample or a batch of consecutive samples, in one of three formats; after
`streamer.contracts.decode` nobody needs to know which. `docs/contracts.md` has the contract.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from streamer.arrays import Floats, Ints

LARGEST_BATCH = 10_000
"""Most samples in one record."""

LONGEST_INTERVAL_MS = 60_000.0
"""Longest time between two samples of a batch."""

LATEST_TIMESTAMP_MS = 253_402_300_799_999.0
"""The end of the year 9999; a clock that says more counts in other units."""

LONGEST_DEVICE_ID = 255
"""Bytes of UTF-8."""

LARGEST_ACCELERATION = 160.0
"""In g and either direction; no motion sensor measures more than a tenth of it on a body."""

LARGEST_ROTATION = 350.0
"""In rad/s and either direction, 20,000 degrees a second."""

CONTENT_TYPE = "content-type"
"""The record header that names the format; the last one counts, none means JSON."""


class Format(StrEnum):
    """How a reading is written."""

    JSON = "json"
    MSGPACK = "msgpack"
    F32 = "f32"


CONTENT_TYPES = {
    Format.JSON: b"application/json",
    Format.MSGPACK: b"application/msgpack",
    Format.F32: b"application/x-streamer-f32",
}


class Record(Protocol):
    """What is needed of a Kafka record; aiokafka's `ConsumerRecord` is one."""

    @property
    def key(self) -> bytes | None:
        """The device id."""

    @property
    def value(self) -> bytes | None:
        """The reading."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """In the order they were added; Kafka allows a name twice and a value of null."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch, by Kafka's clock."""

    @property
    def offset(self) -> int:
        """Position in the partition."""


Axes = tuple[float, float, float]


class Sample(msgspec.Struct, gc=False):
    """One sample, as JSON and MessagePack have it."""

    device_id: str
    timestamp: float
    """Milliseconds since the epoch."""
    acc: Axes
    """Total acceleration in g, gravity included."""
    gyro: Axes
    """Rotation in rad/s."""

    interval_ms: ClassVar[float] = 0.0
    count: ClassVar[int] = 1


class Batch(msgspec.Struct, gc=False):
    """Consecutive samples, as JSON and MessagePack have them; the first is at `timestamp`."""

    device_id: str
    timestamp: float
    interval_ms: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_INTERVAL_MS)]
    acc: Annotated[list[Axes], msgspec.Meta(min_length=1, max_length=LARGEST_BATCH)]
    gyro: Annotated[list[Axes], msgspec.Meta(min_length=1, max_length=LARGEST_BATCH)]

    @property
    def count(self) -> int:
        """Samples in the batch, once acc and gyro are known to agree."""
        return len(self.acc)


class RejectReason(StrEnum):
    """Why a record was refused; of several faults the first one in this order.

    Except that only a reading that is otherwise well-formed can disagree with its key.
    """

    TOMBSTONE = "tombstone"
    """The record has no value: nothing was read, and nothing is deleted."""
    KEY = "key"
    """The key is missing, empty, too long, not UTF-8, or not the `device_id` of the reading."""
    CONTENT_TYPE = "content_type"
    """The `content-type` header names no known format."""
    MALFORMED = "malformed"
    """The value is not what its format calls well-formed: cut short, trailing bytes, not JSON."""
    SCHEMA = "schema"
    """Well-formed, but a field is missing or has the wrong type, shape, length or interval."""
    TIMESTAMP = "timestamp"
    """The time is negative, after the year 9999, or not a number."""
    VALUE = "value"
    """A sample is not a number, infinite, or more than a body can do to a sensor."""
    FUTURE = "future"
    """The last sample is further ahead of the record's own timestamp than clocks may differ."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was refused, whole."""

    record: int
    """Index into the records given to `decode`."""
    reason: RejectReason
    detail: str
    """For people: what exactly was wrong, and where."""
    samples: int
    """How many samples were lost; 1 when nobody can know."""


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
    """(s, 6) Acceleration x y z in g, rotation x y z in rad/s; finite and plausible."""
    rejects: list[Reject]
    """The records that have no samples here, in their order."""


class Rejection(Exception):  # noqa: N818 - a verdict on a record, not an error of the program
    """Raised while reading one record; `decode` turns it into a `Reject`."""

    def __init__(self, reason: RejectReason, detail: str, samples: int = 1) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.samples = samples
