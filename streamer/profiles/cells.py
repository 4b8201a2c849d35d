"""What the compiled readers of a profile write: rows of cells, and where the device id is."""

from typing import NamedTuple, Self

import numpy as np

from streamer.arrays import Bytes, Floats, Ints
from streamer.compiled import as_index, compiled_inline, compiled_together
from streamer.contracts.decimals import read_number
from streamer.contracts.readings import LARGEST_BATCH
from streamer.profiles.fast_times import read_iso8601
from streamer.profiles.paths import Kind
from streamer.profiles.same_bytes import has_same_bytes
from streamer.profiles.tree import (
    CHILD,
    CHOICES,
    CHOICES_END,
    KIND,
    NAME,
    NAME_END,
    NEXT,
    SLOT,
    Tree,
)

ROWS_AT_ONCE = 4 * LARGEST_BATCH
"""Rows of cells in memory; a part of a fetch ends when another record might not fit."""

_NUMBER, _TIME, _CHOICE, _DEVICE = (
    int(kind) for kind in (Kind.NUMBER, Kind.TIME, Kind.CHOICE, Kind.DEVICE)
)
DEEPEST = 16
"""Lists and objects in each other that a compiled reader enters."""

_SPACES = tuple(ord(sign) for sign in " \n\r\t")

STACK_NODE, STACK_INDEX, STACK_SIZE, STACK_HINT, STACK_SEEN = range(5)
"""Columns of the stack of open objects and lists: the node, the index of the element or field, in
MessagePack and Avro how many are left or are there, the child that is expected next, and which
children were there."""


class Cells(NamedTuple):
    """What is read of the records of a fetch."""

    values: Floats
    """(rows, slots), NaN where a record has nothing."""
    device: Ints
    """(2,) begin and end in the buffer of the record's device id; the end is 0 without one."""
    stack: Ints
    """(depth, 5), see `STACK_NODE`."""

    @classmethod
    def of(cls, slots: int) -> Self:
        """Make room for the rows of a part of a fetch."""
        values = np.empty((ROWS_AT_ONCE, slots))
        return cls(values, np.zeros(2, np.int64), np.zeros((DEEPEST, 5), np.int64))


@compiled_together
def find_child(
    buffer: Bytes, at: int, length: int, nodes: Ints, texts: Bytes, stack: Ints, level: int
) -> int:
    """Return the child with the name here in an open object, -1 if there is none.

    `REPEATED` stands for a child that was there before: the last one counts, which only the general
    reader knows.
    """
    # Fields come in the same order as the last time, nearly always.
    child = stack[level, STACK_HINT]
    if child < 0 or not _has_name(buffer, at, length, nodes, texts, child):
        child = nodes[stack[level, STACK_NODE], CHILD]
        while child >= 0 and not _has_name(buffer, at, length, nodes, texts, child):
            child = nodes[child, NEXT]
    if child >= 0:
        bit = np.int64(1) << ((child - stack[level, STACK_NODE]) & 63)
        if stack[level, STACK_SEEN] & bit:
            return REPEATED
        stack[level, STACK_SEEN] |= bit
        stack[level, STACK_HINT] = nodes[child, NEXT]
    return int(child)


REPEATED = -2


@compiled_together
def _has_name(buffer: Bytes, at: int, length: int, nodes: Ints, texts: Bytes, child: int) -> bool:
    """Return whether the name here is that of a node."""
    begin = nodes[child, NAME]
    return bool(
        nodes[child, NAME_END] - begin == length
        and has_same_bytes(buffer, at, texts, begin, length)
    )


@compiled_together
def find_element(nodes: Ints, node: int, index: int) -> int:
    """Return the child for an element of a list, `SKIPPED` if the tree has none."""
    child = nodes[node, CHILD]
    while child >= 0 and nodes[child, NAME] != index:
        child = nodes[child, NEXT]
    return int(child)


@compiled_together
def clear_row(values: Floats, row: int) -> None:
    """Make a row one of nothing yet."""
    here = as_index(row)
    for slot in range(values.shape[1]):
        values[here, as_index(slot)] = np.nan


@compiled_together
def has_empty_row(values: Floats, first: int, rows: int) -> bool:
    """Return whether one of several rows has nothing; the general reader refuses such records."""
    if rows == 1:
        return False
    for row in range(first, first + rows):
        slot, here = 0, as_index(row)
        while slot < values.shape[1] and np.isnan(values[here, as_index(slot)]):
            slot += 1
        if slot == values.shape[1]:
            return True
    return False


@compiled_together
def strip_spaces(buffer: Bytes, begin: int, end: int) -> tuple[int, int]:
    """Return where a text begins and ends without the spaces around it."""
    while begin < end and buffer[begin] in _SPACES:
        begin += 1
    while begin < end and buffer[end - 1] in _SPACES:
        end -= 1
    return begin, end


@compiled_inline
def note_record(
    cells: Cells, has_device: bool, record: int, row: int, count: int, integers: Ints, found: int
) -> bool:
    """Note a record that was read into rows from a row on, if it is whole; returns whether it is.

    Args:
        cells: where it was read to.
        has_device: whether the profile has the device id in the value.
        record: index of the record.
        row: its first row.
        count: its rows, or `NOT_FAST`.
        integers: (4, records) record, rows, begin and end of the device id of each that is noted.
        found: how many are noted.
    """
    if (
        count <= 0
        or (has_device and cells.device[1] == 0)
        or has_empty_row(cells.values, row, count)
    ):
        return False
    integers[0, found] = record
    integers[1, found] = count
    integers[2, found] = cells.device[0]
    integers[3, found] = cells.device[1]
    return True


@compiled_inline
def read_text(
    buffer: Bytes, begin: int, end: int, tree: Tree, node: int, cells: Cells, row: int
) -> bool:
    """Read a text into the cell of a node; returns False if only the general reader can."""
    kind = tree.nodes[node, KIND]
    if kind == _DEVICE:
        if cells.device[1] == 0:
            cells.device[0], cells.device[1] = begin, end
        return begin < end
    slot = tree.nodes[node, SLOT]
    if kind != _CHOICE:
        begin, end = strip_spaces(buffer, begin, end)
    if kind == _NUMBER:
        at, cells.values[row, slot] = read_number(buffer, begin, end, tree.powers)
        return at == end
    if kind == _TIME:
        known, time_us = read_iso8601(buffer, begin, end)
        cells.values[row, slot] = time_us
        return known
    if kind != _CHOICE:
        return False
    cells.values[row, slot] = _find_choice(
        buffer, begin, end, tree.nodes, tree.texts, tree.choices, node
    )
    return True


@compiled_together
def _find_choice(
    buffer: Bytes, begin: int, end: int, nodes: Ints, texts: Bytes, choices: Ints, node: int
) -> int:
    """Return which choice of a node a text is, -1 for another text."""
    first = nodes[node, CHOICES]
    for choice in range(first, nodes[node, CHOICES_END]):
        length = choices[choice, 1] - choices[choice, 0]
        if length == end - begin and has_same_bytes(
            buffer, begin, texts, choices[choice, 0], length
        ):
            return int(choice - first)
    return -1
