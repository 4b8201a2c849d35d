"""From samples with times to the records of many devices in the order in which they are sent."""

from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streamer.contracts.encode import Headers, encode
from streamer.contracts.readings import Format

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INTERVAL_MS: Final = 20
INTERVAL_US: Final = 1000 * INTERVAL_MS


class Samples(NamedTuple):
    """Consecutive samples of a device."""

    time_us: Ints
    """(n,)"""
    values: Floats
    """(n, 6) acceleration x y z in g, rotation x y z in rad/s."""


class Record(NamedTuple):
    """One record for Kafka."""

    due_us: int
    """When the device sends it, which is not before its last sample."""
    key: bytes | None
    value: bytes | None
    headers: Headers
    samples: int


def round_length(batch: int) -> int:
    """How many samples of every device to publish before the next device's turn.

    A fifth of a second's, so that partitions see the devices interleaved; whole batches.
    """
    return -(-10 // batch) * batch


def regular(chunks: Iterable[Floats], start_us: int) -> Iterator[Samples]:
    """Give samples, (n, 6) in each chunk, their times: one every 20 ms."""
    for values in chunks:
        end_us = start_us + len(values) * INTERVAL_US
        yield Samples(np.arange(start_us, end_us, INTERVAL_US), values)
        start_us = end_us


def packed(
    device_id: str, rounds: Iterable[Samples], batch: int, form: Format
) -> Iterator[list[Record]]:
    """Write the samples of each round as records of so many samples (the last may have fewer)."""
    interval_ms = None if batch == 1 else INTERVAL_MS
    for time_us, values in rounds:
        records = []
        for i, first_us in zip(
            range(0, len(values), batch), time_us[::batch].tolist(), strict=True
        ):
            part = values[i : i + batch]
            due_us = first_us + (len(part) - 1) * INTERVAL_US
            written = encode(device_id, first_us / 1000, interval_ms, part, form)
            records.append(Record(due_us, *written, len(part)))
        yield records


def interleaved(devices: Iterable[Iterator[list[Record]]]) -> Iterator[Record]:
    """All records of many devices in the order they are due, a round of each device at a time."""
    for rounds in zip_longest(*devices, fillvalue=()):
        yield from sorted(chain.from_iterable(rounds), key=attrgetter("due_us"))
