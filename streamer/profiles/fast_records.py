"""Compiled reader of JSON and CSV by a profile: from the bytes of a fetch to the cells of slots.

The paths of a profile make a tree. The reader walks through a text and the tree together, skips
what the tree does not have, and fills a row of cells for each sample. It leaves every record with
anything unexpected (escapes, another type, cut short) to the general reader, which says what is
wrong. In what it skips it looks at strings and brackets only.

    {"deviceId": "a", "payload": [{"time": 1, "values": {"x": 5}}, {"time": 2, ...}]}
                                   -------- row 0 -------------    ---- row 1 ----
"""

from dataclasses import dataclass

import numpy as np

from streamer.arrays import Bytes, Floats, Ints, Words
from streamer.compiled import compiled_together
from streamer.contracts.decimals import NOT_FAST, POWERS
from streamer.contracts.readings import LARGEST_BATCH
from streamer.contracts.records import VALUE, VALUE_END, Records
from streamer.profiles.fast_values import (
    find_end_of_text,
    has_same_bytes,
    read_leaf,
    read_numbers,
    read_text,
    skip_null,
    skip_spaces,
    skip_value,
)
from streamer.profiles.paths import Kind, Slot
from streamer.profiles.tree import (
    CHILD,
    FIELDS,
    LEAF,
    LIST,
    NAME,
    NAME_END,
    NEXT,
    NUMBERS,
    SLOT,
    TYPE,
    Tree,
)

ROWS_AT_ONCE = 4 * LARGEST_BATCH
"""Rows of cells in memory; a part of a fetch ends when another record might not fit."""

_DEEPEST = 16
_NODE, _INDEX, _HINT = range(3)
_SKIPPED = -1

_QUOTE, _COLON, _COMMA, _LINE = (ord(sign) for sign in '":,\n')
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = (ord(sign) for sign in "{}[]")
_N = ord("n")


@dataclass(frozen=True, slots=True)
class Cells:
    """What was read of some records.

    Attributes:
        record: (r,) index of each record.
        count: (r,) rows of each.
        device: (r, 2) where the device id begins and ends in the buffer, if the profile has one.
        values: (rows, slots) cells, NaN where a record has nothing.
    """

    record: Ints
    count: Ints
    device: Ints
    values: Floats


class FastReader:
    """Reads records of one profile."""

    def __init__(self, slots: list[Slot], separator: str | None, columns: tuple[str, ...]) -> None:
        self._width = len(slots)
        self._has_device = any(slot.kind is Kind.DEVICE for slot in slots)
        self._tree = Tree.of(slots)
        self._separator = -1 if separator is None else ord(separator)
        of_column = {slot.steps[-1]: number for number, slot in enumerate(slots)}
        leaf_of_slot = {row[SLOT]: i for i, row in enumerate(self._tree.nodes.tolist())}
        leaves = [leaf_of_slot[of_column[name]] if name in of_column else -1 for name in columns]
        self._columns = np.array(leaves, np.int64)

    def read(self, records: Records, first: int) -> tuple[Cells, int]:
        """Read records from an index on, until the cells are full.

        Returns:
            What was read, without the records that need the general reader; and the index of the
            record to go on with.
        """
        n = len(records) - first
        integers = np.empty((4, n), np.int64)
        cells = np.empty((ROWS_AT_ONCE, self._width))
        buffer = np.frombuffer(records.buffer, np.uint8)
        stack, span = np.empty((_DEEPEST, 3), np.int64), np.empty(2, np.int64)
        tree = self._tree
        done, found, rows = _read_all(
            buffer,
            records.table,
            first,
            self._has_device,
            self._separator,
            self._columns,
            tree.nodes,
            tree.texts,
            tree.choices,
            POWERS,
            integers,
            cells,
            stack,
            span,
        )
        record, count, *device = integers[:, :found]
        return Cells(record, count, np.stack(device, axis=1), cells[:rows]), done


@compiled_together
def _read_all(
    buffer: Bytes,
    table: Ints,
    first: int,
    has_device: bool,
    separator: int,
    columns: Ints,
    nodes: Ints,
    texts: Bytes,
    choices: Ints,
    powers: Words,
    integers: Ints,
    cells: Floats,
    stack: Ints,
    span: Ints,
) -> tuple[int, int, int]:
    """Fill in integers and cells; returns the next record, and the numbers of records and rows."""
    found = 0
    rows = 0
    for record in range(first, len(table)):
        if len(cells) - rows <= LARGEST_BATCH:
            return record, found, rows
        begin, end = table[record, VALUE], table[record, VALUE_END]
        span[:] = 0
        if separator >= 0:
            count = _read_csv(
                buffer,
                begin,
                end,
                separator,
                columns,
                nodes,
                texts,
                choices,
                powers,
                cells,
                rows,
                span,
            )
        else:
            count = _read_json(
                buffer, begin, end, nodes, texts, choices, powers, cells, rows, stack, span
            )
        if count > 0 and (span[1] > 0 or not has_device):
            integers[0, found] = record
            integers[1, found] = count
            integers[2, found] = span[0]
            integers[3, found] = span[1]
            found += 1
            rows += count
    return len(table), found, rows


@compiled_together
def _read_json(  # noqa: C901 - one state machine
    buffer: Bytes,
    at: int,
    end: int,
    nodes: Ints,
    texts: Bytes,
    choices: Ints,
    powers: Words,
    cells: Floats,
    first_row: int,
    stack: Ints,
    span: Ints,
) -> int:
    """Read one text into rows of cells from ``first_row`` on; returns their number or `NOT_FAST`.

    The stack has the node of every object and list that is open, and the index in a list.
    """
    depth = 0
    node = 0
    rows = 1
    row = first_row
    cells[row] = np.nan
    at = skip_spaces(buffer, at, end)
    while True:
        if at >= end:
            return NOT_FAST
        # Read one value, or enter it.
        kind = nodes[node, TYPE] if node >= 0 else _SKIPPED
        byte = buffer[at]
        if kind == _SKIPPED:
            at = skip_value(buffer, at, end)
        elif byte == _N:
            at = skip_null(buffer, at, end)
        elif kind == LEAF:
            at = read_leaf(buffer, at, end, nodes, node, texts, choices, powers, cells, row, span)
        elif kind == NUMBERS:
            at = read_numbers(buffer, at, end, nodes, node, powers, cells, row)
        elif byte == (_OPEN if kind == FIELDS else _OPEN_LIST):
            at = skip_spaces(buffer, at + 1, end)
            if at < end and buffer[at] == (_CLOSE if kind == FIELDS else _CLOSE_LIST):
                at += 1
            elif depth == len(stack):
                return NOT_FAST
            else:
                stack[depth, _NODE] = node
                stack[depth, _INDEX] = 0
                stack[depth, _HINT] = nodes[node, CHILD]
                depth += 1
                if kind == FIELDS:
                    at, node = _enter_field(buffer, at, end, nodes, texts, stack, depth - 1)
                elif kind == LIST:
                    node = nodes[node, CHILD]
                else:
                    node = _child_at(nodes, node, 0)
                if at == NOT_FAST:
                    return NOT_FAST
                continue
        else:
            return NOT_FAST
        if at == NOT_FAST:
            return NOT_FAST
        # Go on in the innermost object or list that does not end here.
        while True:
            at = skip_spaces(buffer, at, end)
            if depth == 0:
                return rows if at == end else NOT_FAST
            if at >= end:
                return NOT_FAST
            node = stack[depth - 1, _NODE]
            kind = nodes[node, TYPE]
            byte = buffer[at]
            at = at + 1
            if byte == (_CLOSE if kind == FIELDS else _CLOSE_LIST):
                depth -= 1
                if kind == LIST:
                    row = first_row
                continue
            if byte != _COMMA:
                return NOT_FAST
            at = skip_spaces(buffer, at, end)
            break
        if kind == FIELDS:
            at, node = _enter_field(buffer, at, end, nodes, texts, stack, depth - 1)
            if at == NOT_FAST:
                return NOT_FAST
            continue
        stack[depth - 1, _INDEX] += 1
        index = stack[depth - 1, _INDEX]
        if kind == LIST:
            if index >= LARGEST_BATCH:
                return NOT_FAST
            row = first_row + index
            if index >= rows:
                cells[row] = np.nan
                rows += 1
            node = nodes[node, CHILD]
        else:
            node = _child_at(nodes, node, index)


@compiled_together
def _read_csv(
    buffer: Bytes,
    at: int,
    end: int,
    separator: int,
    columns: Ints,
    nodes: Ints,
    texts: Bytes,
    choices: Ints,
    powers: Words,
    cells: Floats,
    first_row: int,
    span: Ints,
) -> int:
    """Read lines into rows of cells from ``first_row`` on; returns their number or `NOT_FAST`."""
    rows = 0
    while at < end:
        if rows >= LARGEST_BATCH:
            return NOT_FAST
        row = first_row + rows
        cells[row] = np.nan
        rows += 1
        for column in range(len(columns)):
            begin = at
            while at < end and buffer[at] not in (separator, _LINE, _QUOTE):
                at += 1
            if at < end and buffer[at] == _QUOTE:
                return NOT_FAST
            is_last = at >= end or buffer[at] == _LINE
            if is_last != (column == len(columns) - 1):
                return NOT_FAST
            if columns[column] >= 0 and not read_text(
                buffer,
                begin,
                at,
                nodes,
                columns[column],
                texts,
                choices,
                powers,
                cells,
                row,
                span,
            ):
                return NOT_FAST
            at += 1
    return rows or NOT_FAST


@compiled_together
def _enter_field(
    buffer: Bytes, at: int, end: int, nodes: Ints, texts: Bytes, stack: Ints, level: int
) -> tuple[int, int]:
    """Read a name and a colon; returns where the value begins, and its node or `_SKIPPED`."""
    if at >= end or buffer[at] != _QUOTE:
        return NOT_FAST, _SKIPPED
    after = find_end_of_text(buffer, at + 1, end)
    if after == NOT_FAST:
        return NOT_FAST, _SKIPPED
    length = after + 1 - at
    # Fields come in the same order as the last time, nearly always.
    child = stack[level, _HINT]
    if child < 0 or not _has_name(buffer, at, length, nodes, texts, child):
        child = nodes[stack[level, _NODE], CHILD]
        while child >= 0 and not _has_name(buffer, at, length, nodes, texts, child):
            child = nodes[child, NEXT]
    if child >= 0:
        stack[level, _HINT] = nodes[child, NEXT]
    at = skip_spaces(buffer, after + 1, end)
    if at >= end or buffer[at] != _COLON:
        return NOT_FAST, _SKIPPED
    return skip_spaces(buffer, at + 1, end), child


@compiled_together
def _has_name(buffer: Bytes, at: int, length: int, nodes: Ints, texts: Bytes, child: int) -> bool:
    """Return whether the quoted name here is that of a node."""
    begin = nodes[child, NAME]
    return bool(
        nodes[child, NAME_END] - begin == length
        and has_same_bytes(buffer, at, texts, begin, length)
    )


@compiled_together
def _child_at(nodes: Ints, node: int, index: int) -> int:
    """Return the child for an element of a list, `_SKIPPED` if the tree has none."""
    child = nodes[node, CHILD]
    while child >= 0 and nodes[child, NAME] != index:
        child = nodes[child, NEXT]
    return int(child)
