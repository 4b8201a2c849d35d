"""Compiled: finds the samples of a sensor among rows of cells, and converts them."""

from typing import Final

import numpy as np

from streamer.arrays import Bytes, Floats, Ints
from streamer.compiled import as_index, compiled_together

ABSENT: Final = 0
WHOLE: Final = 1
PARTIAL: Final = 2
"""States of a row: without the sensor, with all of its axes, with some of them only."""


@compiled_together
def convert_rows(
    cells: Floats,
    fields: Ints,
    signs: Floats,
    factor: float,
    where: Ints,
    values: Floats,
    column: int,
    states: Bytes,
) -> int:
    """Write a sensor's samples into three columns of values, and 0 where some axes are missing.

    Args:
        cells: (rows, slots).
        fields: (3,) slot for each of our axes.
        signs: (3,) sign of each of our axes.
        factor: from the device's unit to ours.
        where: (n, 2) slots and the choices that they must have.
        values: (rows, 3 or 6), written; the rows that are not meant stay as they are.
        column: the first of the three.
        states: (rows,), written.

    Returns:
        How many rows are `PARTIAL`.
    """
    partial = 0
    for i in range(len(cells)):
        row = as_index(i)
        states[row] = ABSENT
        condition = 0
        while (
            condition < len(where)
            and cells[row, as_index(where[as_index(condition), 0])] == where[as_index(condition), 1]
        ):
            condition += 1
        if condition < len(where):
            continue
        missing = 0
        for axis in range(3):
            value = cells[row, as_index(fields[axis])] * factor * signs[axis]
            values[row, as_index(column + axis)] = value
            missing += np.isnan(value)
        if missing == 0:
            states[row] = WHOLE
            continue
        for axis in range(3):
            values[row, as_index(column + axis)] = 0
        if missing < 3:
            states[row] = PARTIAL
            partial += 1
    return partial
