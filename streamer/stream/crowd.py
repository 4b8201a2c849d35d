"""A partition with more devices than it may have forgets the least recently seen ones.

A device is forgotten when `Rules.max_devices` others have sent records since its last one::

    at most 3 devices

    records    a   b   c   d   a             a begins a new life
    devices    a   ab  abc bcd cda           d pushes out a, then a pushes out b

So a recovery forgets the same devices at the same records: whatever pushes a device out comes after
its last record, and is read again if the device is.
"""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from streamer.arrays import Bools, Ints


@dataclass(frozen=True, slots=True)
class Crowd:
    """What happens to the devices of a crowded partition in a fetch.

    Attributes:
        begins: (k,) records with which a device begins a new life, as it was pushed out before.
        left: rows of the devices that are pushed out and do not return in the fetch.
        pushed_out: how many times a device was forgotten because of the others.
    """

    begins: Bools
    left: Ints
    pushed_out: int


def push_out(
    known: Ints,
    known_seen_us: Ints,
    row: Ints,
    clock_us: Ints,
    seen_us: Ints,
    *,
    most: int,
    idle_us: int,
) -> Crowd:
    """Return which devices are forgotten because of others in a fetch.

    A device that is silent for too long makes room for another one.

    Args:
        known: (d,) rows of the devices before the fetch, the least recently seen first.
        known_seen_us: (d,) when they were seen by the partition clock.
        row: (k,) row of the device of each record that has one.
        clock_us: (k,) partition clock after it.
        seen_us: (k,) when a device that sends it counts as seen.
        most: devices that the partition may have.
        idle_us: silence after which a device is forgotten.
    """
    order = OrderedDict(zip(known.tolist(), known_seen_us.tolist(), strict=True))
    left = set[int]()
    begins = np.zeros(len(row), np.bool_)
    pushed_out = 0
    records = zip(row.tolist(), clock_us.tolist(), seen_us.tolist(), strict=True)
    for i, (device, now_us, device_seen_us) in enumerate(records):
        while order and now_us - next(iter(order.values())) > idle_us:
            order.popitem(last=False)
        begins[i] = device in left
        left.discard(device)
        order[device] = device_seen_us
        order.move_to_end(device)
        if len(order) > most:
            left.add(order.popitem(last=False)[0])
            pushed_out += 1
    return Crowd(begins, np.array(sorted(left), np.int64), pushed_out)
