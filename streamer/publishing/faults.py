"""Simulated faults between a sensor and Kafka; the same seed makes the same faults.

Jitter changes the times of samples. All other faults concern records::

    taken    1  2  3  4  5  6  7  8  9
    sent     1  2     4  5  3     7  8  ?  7  9
                            |  |        |  |
                         late  lost   bad  duplicate
"""

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from streamer.arrays import Floats, Ints
from streamer.contracts import f32
from streamer.contracts.readings import CONTENT_TYPE, CONTENT_TYPES, Format
from streamer.publishing.due_records import Due, Fate
from streamer.publishing.publisher import DeviceRecord

INTERVAL_US: Final = 20_000

_JITTER_LIMIT_US: Final = INTERVAL_US // 2 - 1000
"""A limit that keeps the samples in order."""

_GAP_SAMPLES: Final = (1.0, 250.0)
"""The shortest and the longest gap, log-uniform: some are filled later, some are not."""
_MEAN_GAP: Final = float(np.diff(_GAP_SAMPLES)[0] / np.diff(np.log(_GAP_SAMPLES))[0])

_DELAY_US: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class SensorFaults:
    """Amounts of the faults.

    Attributes:
        jitter_ms: standard deviation of the time of a sample; the deviation is at most 9 ms.
        gap: share of samples lost, in gaps of one sample to five seconds.
        late: share of records that are sent up to two seconds later, after newer ones.
        duplicate: share of records that are sent again within two seconds.
        bad: number of additional malformed records, as a share of the good ones.
    """

    jitter_ms: float = 0
    gap: float = 0
    late: float = 0
    duplicate: float = 0
    bad: float = 0


class DeviceSamples(NamedTuple):
    """Consecutive samples of a device."""

    time_us: Ints
    """(n,)"""
    values: Floats
    """(n, 6) acceleration x y z in g, rotation x y z in rad/s."""


def add_jitter(
    stream: Iterable[DeviceSamples], jitter_ms: float, batch: int, rng: np.random.Generator
) -> Iterator[DeviceSamples]:
    """Yield the samples at irregular times, with these times.

    Values are interpolated at the new times. All ``batch`` samples of a record deviate by the same
    time, because a record has one timestamp and one interval.

    Args:
        stream: regular; each part but the last has a multiple of ``batch`` samples.
        jitter_ms: standard deviation.
        batch: samples in a record.
        rng: chooses the times.
    """
    nothing = DeviceSamples(np.empty(0, np.int64), np.empty((0, 6)))
    before = nothing
    for here, after in pairwise(chain(stream, [nothing])):
        n = len(here.time_us)
        off_us = rng.normal(0, jitter_ms * 1000, -(-n // batch))
        off_us = np.rint(off_us.clip(-_JITTER_LIMIT_US, _JITTER_LIMIT_US)).astype(np.int64)
        time_us = here.time_us + np.repeat(off_us, batch)[:n]
        known_us = np.concatenate([before.time_us[-1:], here.time_us, after.time_us[:1]])
        known = np.concatenate([before.values[-1:], here.values, after.values[:1]])
        values = [np.interp(time_us, known_us, channel) for channel in known.T]
        yield DeviceSamples(time_us, np.stack(values, axis=1))
        before = here


def disturb(
    records: Iterable[Due], faults: SensorFaults, rng: np.random.Generator
) -> Iterator[Due]:
    """Lose, delay, repeat and damage records of one device.

    Args:
        records: in order of time.
        faults: how many there are.
        rng: chooses the records.

    Returns:
        Yields the records in order of time. No record is both late and lost.
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
            insort(held, _hold_back(record, Fate.LATE, rng), key=attrgetter("time_us"))
        else:
            yield record
        if duplicate < faults.duplicate:
            insort(held, _hold_back(record, Fate.DUPLICATE, rng), key=attrgetter("time_us"))
        if bad < faults.bad:
            yield spoil_record(record, kinds[rng.integers(len(kinds))])
    # At its end a device sends what it has held back.
    for record in held:
        yield record._replace(time_us=now_us)


def _hold_back(record: Due, fate: Fate, rng: np.random.Generator) -> Due:
    # Longer than two records, so that others overtake it.
    delay_us = 2 * record.message.samples * INTERVAL_US + int(rng.integers(_DELAY_US))
    return Due(record.time_us + delay_us, record.message, fate)


def spoil_record(record: Due, kind: str) -> Due:
    """Return a bad record made of a good one, in one of the ways of `SPOILERS`."""
    message = SPOILERS[kind](record.message, record.time_us / 1000)
    return Due(record.time_us, message._replace(samples=0), Fate.BAD)


Spoiler = Callable[[DeviceRecord, float], DeviceRecord]
"""Returns a bad record, given a good one and a valid time for it in ms since the epoch."""


def _with(**changes: Any) -> Spoiler:
    return lambda message, _: message._replace(**changes)


def _json(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Spoiler:
    """Return a spoiler that writes well-formed JSON with changed fields."""

    def spoil(message: DeviceRecord, time_ms: float) -> DeviceRecord:
        assert message.key is not None
        reading = {
            "device_id": message.key.decode(),
            "timestamp": time_ms,
            "acc": [0.0, 0.0, 1.0],
            "gyro": [0.0, 0.0, 0.0],
        }
        return message._replace(value=msgspec.json.encode(reading | change(reading)), headers=[])

    return spoil


def _cut_short(message: DeviceRecord, _: float) -> DeviceRecord:
    assert message.value is not None
    return message._replace(value=message.value[:-5])


def _not_a_number(message: DeviceRecord, time_ms: float) -> DeviceRecord:
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
"""Ways to make a record bad, by name; every reason to reject a record occurs."""
