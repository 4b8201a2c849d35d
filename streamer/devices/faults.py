"""What goes wrong between a sensor and Kafka, on demand; the same seed makes the same faults.

Jitter happens to samples. The rest happens to records::

    taken    1  2  3  4  5  6  7  8  9
    sent     1  2     4  5  3     7  8  ?  7  9
                            |  |        |  |
                         late  lost   bad  duplicate
"""

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, pairwise
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from streamer.arrays import Floats, Ints
from streamer.contracts import f32
from streamer.contracts.readings import CONTENT_TYPE, CONTENT_TYPES, Format
from streamer.devices.publisher import Message

INTERVAL_US: Final = 20_000

_JITTER_LIMIT_US: Final = INTERVAL_US // 2 - 1000
"""Samples keep their order."""

_GAP_SAMPLES: Final = (1.0, 250.0)
"""The shortest and the longest gap, log-uniformly: some that are filled, some that are not."""
_MEAN_GAP: Final = float(np.diff(_GAP_SAMPLES)[0] / np.diff(np.log(_GAP_SAMPLES))[0])

_DELAY_US: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Faults:
    """How much goes wrong.

    Attributes:
        jitter_ms: standard deviation of the time at which a sample is taken; at most 9 ms off.
        gap: share of samples lost, in gaps of one sample to five seconds.
        late: share of records that are held back, for up to two seconds, while others overtake.
        duplicate: share of records that are sent again within two seconds.
        bad: malformed records, as a share of the good ones, which are sent all the same.
    """

    jitter_ms: float = 0
    gap: float = 0
    late: float = 0
    duplicate: float = 0
    bad: float = 0


class Samples(NamedTuple):
    """Consecutive samples of a device."""

    time_us: Ints
    """(n,)"""
    values: Floats
    """(n, 6) acceleration x y z in g, rotation x y z in rad/s."""


class Fate(StrEnum):
    """What becomes of a record."""

    NORMAL = "on time"
    LATE = "late"
    DUPLICATE = "duplicate"
    BAD = "malformed"
    LOST = "lost"
    """It is not sent, only counted."""


class Due(NamedTuple):
    """A record, and when its device sends it."""

    time_us: int
    message: Message
    fate: Fate = Fate.NORMAL


def jittered(
    stream: Iterable[Samples], jitter_ms: float, batch: int, rng: np.random.Generator
) -> Iterator[Samples]:
    """Take samples at irregular times instead, and say so.

    Values are interpolated: they are what the sensor would have said then. The samples of one
    record, ``batch`` of them, are all off by the same time, for a record can say no more.

    Args:
        stream: regular; each part but the last has a multiple of ``batch`` samples.
        jitter_ms: standard deviation.
        batch: samples in a record.
        rng: makes the times.
    """
    nothing = Samples(np.empty(0, np.int64), np.empty((0, 6)))
    before = nothing
    for here, after in pairwise(chain(stream, [nothing])):
        n = len(here.time_us)
        off_us = rng.normal(0, jitter_ms * 1000, -(-n // batch))
        off_us = np.rint(off_us.clip(-_JITTER_LIMIT_US, _JITTER_LIMIT_US)).astype(np.int64)
        time_us = here.time_us + np.repeat(off_us, batch)[:n]
        known_us = np.concatenate([before.time_us[-1:], here.time_us, after.time_us[:1]])
        known = np.concatenate([before.values[-1:], here.values, after.values[:1]])
        values = [np.interp(time_us, known_us, channel) for channel in known.T]
        yield Samples(time_us, np.stack(values, axis=1))
        before = here


def disturbed(records: Iterable[Due], faults: Faults, rng: np.random.Generator) -> Iterator[Due]:
    """Lose, delay, repeat and spoil records of one device.

    Args:
        records: in order of time.
        faults: how many.
        rng: decides which.

    Returns:
        In order of time too. A record is at most one of late and lost.
    """
    kinds = list(SPOILERS)
    held: list[Due] = []
    losing = 0
    now_us = 0
    for record in records:
        now_us, message, _ = record
        while held and held[0].time_us <= now_us:
            yield held.pop(0)
        gap, late, duplicate, bad = rng.random(4).tolist()
        if losing <= 0 and gap < message.samples * faults.gap / _MEAN_GAP:
            losing = round(np.exp(rng.uniform(*np.log(_GAP_SAMPLES))))
        if losing > 0:
            losing -= message.samples
            yield record._replace(fate=Fate.LOST)
            continue
        if late < faults.late:
            insort(held, _held_back(record, Fate.LATE, rng), key=attrgetter("time_us"))
        else:
            yield record
        if duplicate < faults.duplicate:
            insort(held, _held_back(record, Fate.DUPLICATE, rng), key=attrgetter("time_us"))
        if bad < faults.bad:
            yield spoilt(record, kinds[rng.integers(len(kinds))])
    # A phone that is switched off sends what it still has.
    for record in held:
        yield record._replace(time_us=now_us)


def _held_back(record: Due, fate: Fate, rng: np.random.Generator) -> Due:
    # At least until the next one but one.
    delay_us = 2 * record.message.samples * INTERVAL_US + int(rng.integers(_DELAY_US))
    return Due(record.time_us + delay_us, record.message, fate)


def spoilt(record: Due, kind: str) -> Due:
    """Make a bad record of a good one, in one of the ways of `SPOILERS`."""
    message = SPOILERS[kind](record.message, record.time_us / 1000)
    return Due(record.time_us, message._replace(samples=0), Fate.BAD)


Spoiler = Callable[[Message, float], Message]
"""Takes a message and a time that it could be of, in ms since the epoch."""


def _with(**changes: Any) -> Spoiler:
    return lambda message, _: message._replace(**changes)


def _json(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Spoiler:
    """JSON that is well-formed, but does not say what it should."""

    def spoil(message: Message, time_ms: float) -> Message:
        assert message.key is not None
        reading = {
            "device_id": message.key.decode(),
            "timestamp": time_ms,
            "acc": [0.0, 0.0, 1.0],
            "gyro": [0.0, 0.0, 0.0],
        }
        return message._replace(value=msgspec.json.encode(reading | change(reading)), headers=[])

    return spoil


def _cut_short(message: Message, _: float) -> Message:
    assert message.value is not None
    return message._replace(value=message.value[:-5])


def _not_a_number(message: Message, time_ms: float) -> Message:
    return message._replace(
        value=f32.pack(time_ms, 0, np.full((1, 6), np.nan)),
        headers=[(CONTENT_TYPE, CONTENT_TYPES[Format.F32])],
    )


_DAY_MS: Final = 86_400_000

SPOILERS: Final[dict[str, Spoiler]] = {
    "no value": _with(value=None),
    "no key": _with(key=None),
    "key not UTF-8": _with(key=b"phone-\xff"),
    "unknown format": _with(headers=[(CONTENT_TYPE, b"text/csv")]),
    "empty": _with(value=b"", headers=[]),
    "cut short": _cut_short,
    "id of another device": _json(lambda _: {"device_id": "somebody else's"}),
    "no acceleration": _json(lambda _: {"acc": None}),
    "two axes": _json(lambda _: {"gyro": [0.0, 0.0]}),
    "words": _json(lambda _: {"acc": ["up", "left", "down"]}),
    "clock before 1970": _json(lambda reading: {"timestamp": -reading["timestamp"]}),
    "clock in nanoseconds": _json(lambda reading: {"timestamp": reading["timestamp"] * 1e6}),
    "clock of tomorrow": _json(lambda reading: {"timestamp": reading["timestamp"] + _DAY_MS}),
    "acceleration in mm/s2": _json(lambda _: {"acc": [0.0, 0.0, 9806.65]}),
    "not a number": _not_a_number,
}
"""Ways in which a record can be useless, by name: each reason for a reject is among them."""
