"""What goes wrong between a sensor and Kafka, on demand and counted; the same seed, the same faults.

Jitter happens to samples; gaps, lateness, duplicates and bad records happen to records::

    due      1  2  3  4  5  6  7  8  9
    sent     1  2     4  5  3  7  7  8  ?  9
                            |  |     |  bad, besides the good ones
                         late  gap   duplicate
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np

from streamer.contracts import f32
from streamer.contracts.readings import CONTENT_TYPE, CONTENT_TYPES, Format
from streamer.devices.records import INTERVAL_US, Record, Samples

_JITTER_LIMIT_US: Final = INTERVAL_US // 2 - 1000
"""Samples keep their order."""

_GAP_SAMPLES: Final = (1, 250)
_MEAN_GAP: Final = (_GAP_SAMPLES[1] - _GAP_SAMPLES[0]) / np.log(_GAP_SAMPLES[1] / _GAP_SAMPLES[0])

_DELAY_US: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Faults:
    """How much of what goes wrong.

    Attributes:
        jitter_ms: standard deviation of the times at which samples are taken, at most 9 ms off.
        gap: share of samples lost, in gaps of one sample up to five seconds.
        late: share of records that are held back for up to two seconds while others overtake.
        duplicate: share of records that are sent again within two seconds.
        bad: malformed records, as a share of the good ones, which are sent nevertheless.
    """

    jitter_ms: float = 0
    gap: float = 0
    late: float = 0
    duplicate: float = 0
    bad: float = 0


@dataclass(slots=True)
class Made:
    """What did go wrong."""

    gaps: int = 0
    lost_samples: int = 0
    late_records: int = 0
    duplicate_records: int = 0
    bad_records: int = 0


def jittered(
    rounds: Iterable[Samples], jitter_ms: float, batch: int, rng: np.random.Generator
) -> Iterator[Samples]:
    """Take samples at irregular times instead, and say so.

    Values are interpolated, so that they are what the sensor would have said at that time. The
    samples of one record, ``batch`` of them, are off by the same time: a record can say no more.
    """
    nothing = Samples(np.empty(0, np.int64), np.empty((0, 6)))
    before = nothing
    for here, after in pairwise(chain(rounds, [nothing])):
        n = len(here.time_us)
        off_us = rng.normal(0, jitter_ms * 1000, -(-n // batch))
        off_us = np.rint(off_us.clip(-_JITTER_LIMIT_US, _JITTER_LIMIT_US)).astype(np.int64)
        time_us = here.time_us + np.repeat(off_us, batch)[:n]
        known_us = np.concatenate([before.time_us[-1:], here.time_us, after.time_us[:1]])
        known = np.concatenate([before.values[-1:], here.values, after.values[:1]])
        yield Samples(
            time_us, np.stack([np.interp(time_us, known_us, axis) for axis in known.T], axis=1)
        )
        before = here


def disturbed(
    rounds: Iterable[list[Record]], faults: Faults, rng: np.random.Generator, made: Made
) -> Iterator[list[Record]]:
    """Lose, delay, repeat and spoil records of one device; ``made`` counts."""
    held: list[Record] = []
    losing = 0
    for records in rounds:
        now: list[Record] = []
        chances = rng.random((len(records), 4)).tolist()
        for record, (gap, late, duplicate, bad) in zip(records, chances, strict=True):
            if losing <= 0 and gap < faults.gap / _MEAN_GAP * record.samples:
                losing = round(np.exp(rng.uniform(*np.log(_GAP_SAMPLES))))
                made.gaps += 1
            if losing > 0:
                losing -= record.samples
                made.lost_samples += record.samples
                continue
            if late < faults.late:
                held.append(_delayed(record, rng))
                made.late_records += 1
            else:
                now.append(record)
            if duplicate < faults.duplicate:
                held.append(_delayed(record, rng))
                made.duplicate_records += 1
            if bad < faults.bad:
                now.append(spoilt(record, list(SPOILERS)[rng.integers(len(SPOILERS))]))
                made.bad_records += 1
        end_us = records[-1].due_us
        now += [record for record in held if record.due_us <= end_us]
        held = [record for record in held if record.due_us > end_us]
        yield sorted(now, key=attrgetter("due_us"))
    yield sorted(held, key=attrgetter("due_us"))


def _delayed(record: Record, rng: np.random.Generator) -> Record:
    # At least until the record after the next one.
    delay_us = 2 * record.samples * INTERVAL_US + int(rng.integers(_DELAY_US))
    return record._replace(due_us=record.due_us + delay_us)


def spoilt(record: Record, kind: str) -> Record:
    """Make a good record bad in one of the ways of `SPOILERS`."""
    return SPOILERS[kind](record)._replace(samples=0)


def _json(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Record], Record]:
    """A bad record whose JSON is well-formed, but does not say what it should."""

    def spoil(record: Record) -> Record:
        reading = {
            "device_id": (record.key or b"").decode(),
            "timestamp": record.due_us / 1000,
            "acc": [0.0, 0.0, 1.0],
            "gyro": [0.0, 0.0, 0.0],
        }
        return record._replace(value=msgspec.json.encode(change(reading)), headers=[])

    return spoil


def _not_a_number(record: Record) -> Record:
    return record._replace(
        value=f32.pack(record.due_us / 1000, 0, np.full((1, 6), np.nan)),
        headers=[(CONTENT_TYPE, CONTENT_TYPES[Format.F32])],
    )


_DAY_MS: Final = 86_400_000

SPOILERS: Final[dict[str, Callable[[Record], Record]]] = {
    "no value": lambda record: record._replace(value=None),
    "no key": lambda record: record._replace(key=None),
    "empty key": lambda record: record._replace(key=b""),
    "key of another": lambda record: record._replace(key=b"not-" + (record.key or b"")),
    "unknown format": lambda record: record._replace(headers=[(CONTENT_TYPE, b"text/csv")]),
    "empty": lambda record: record._replace(value=b""),
    "cut short": lambda record: record._replace(value=(record.value or b"")[:-5]),
    "no object": _json(lambda reading: {"reading": reading}),
    "no gyroscope": _json(lambda reading: reading | {"gyro": None}),
    "two axes": _json(lambda reading: reading | {"acc": [0.0, 1.0]}),
    "words": _json(lambda reading: reading | {"acc": ["left", "up", "down"]}),
    "clock before 1970": _json(lambda reading: reading | {"timestamp": -reading["timestamp"]}),
    "nanoseconds": _json(lambda reading: reading | {"timestamp": reading["timestamp"] * 1e6}),
    "clock of tomorrow": _json(lambda r: r | {"timestamp": r["timestamp"] + _DAY_MS}),
    "impossible": _json(lambda reading: reading | {"acc": [0.0, 0.0, 9806.65]}),
    "not a number": _not_a_number,
}
"""Every way in which a record can be refused, by name."""
