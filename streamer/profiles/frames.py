"""Finds the records of a fetch that are framed for a schema registry."""

import numpy as np

from streamer.arrays import Ints
from streamer.contracts.records import VALUE, VALUE_END, Records
from streamer.profiles.record_layout import FRAME


def find_framed(records: Records) -> Ints:
    """Return the indices of the records whose value begins with a zero byte and has a whole frame.

    The frame is this byte and the schema's id in four bytes, the highest one first.
    """
    table = records.table
    long = np.flatnonzero(table[:, VALUE_END] - table[:, VALUE] >= FRAME)
    buffer = np.frombuffer(records.buffer, np.uint8)
    framed: Ints = long[buffer[table[long, VALUE]] == 0]
    return framed
