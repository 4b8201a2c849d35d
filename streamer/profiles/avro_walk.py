"""Compiled reader of Avro: follows the instructions of `avro_plan` through the bytes of records.

See https://avro.apache.org/docs/1.12.0/specification/#binary-encoding. It leaves every record with
anything unexpected (a number of more than 64 bits, a length beyond the record, a name twice in a
map, a text that is not UTF-8) to the general reader, which says what is wrong.
"""

import numpy as np

from streamer.arrays import Bytes, Ints
from streamer.compiled import compiled_inline, compiled_together
from streamer.contracts.decimals import NOT_FAST, little_endian
from streamer.contracts.readings import LARGEST_BATCH
from streamer.contracts.records import VALUE, VALUE_END
from streamer.profiles.avro_plan import (
    AGAIN,
    BLOCK,
    DOUBLE,
    ELEMENT,
    END,
    ENUM,
    FIRST_ROW,
    FLOAT,
    JUMP,
    KEY,
    LONG,
    OPEN,
    ROW,
    SKIP,
    SKIP_DATA,
    SKIP_LONG,
    SKIP_TEXT,
    TEXT,
    UNION,
    AvroPlan,
)
from streamer.profiles.cells import (
    REPEATED,
    STACK_HINT,
    STACK_INDEX,
    STACK_NODE,
    STACK_SEEN,
    STACK_SIZE,
    Cells,
    clear_row,
    find_child,
    find_element,
    note_record,
    read_text,
)
from streamer.profiles.fast_framed import NO_PLAN
from streamer.profiles.record_layout import FRAME
from streamer.profiles.tree import CHILD, Tree
from streamer.profiles.utf8 import is_utf8

_U0, _U1, _U7, _LAST_SHIFT = (np.uint64(n) for n in (0, 1, 7, 63))
_MORE, _SEVEN_BITS = np.uint64(0x80), np.uint64(0x7F)


@compiled_together
def read_avro_records(
    buffer: Bytes,
    table: Ints,
    first: int,
    starts: Ints,
    has_device: bool,
    plan: AvroPlan,
    tree: Tree,
    cells: Cells,
    integers: Ints,
) -> tuple[int, int, int]:
    """Fill in integers and cells; ``starts`` has where the plan of each record starts.

    Returns:
        The next record, and the numbers of records and rows.
    """
    found = 0
    rows = 0
    for record in range(first, len(table)):
        if len(cells.values) - rows <= LARGEST_BATCH:
            return record, found, rows
        if starts[record] == NO_PLAN:
            continue
        cells.device[:] = 0
        begin, end = table[record, VALUE] + FRAME, table[record, VALUE_END]
        count = _read_record(buffer, begin, end, plan, starts[record], tree, cells, rows)
        if note_record(cells, has_device, record, rows, count, integers, found):
            found += 1
            rows += count
    return len(table), found, rows


@compiled_inline
def _read_record(  # noqa: C901 - a case for each instruction
    buffer: Bytes,
    at: int,
    end: int,
    plan: AvroPlan,
    start: int,
    tree: Tree,
    cells: Cells,
    first_row: int,
) -> int:
    """Read one value into rows of cells from a row on; returns their number or `NOT_FAST`."""
    code, tables, stack, values = plan.code, plan.tables, cells.stack, cells.values
    rows = 1
    row = first_row
    clear_row(values, row)
    step = start
    while True:
        kind, a, b = code[step, 0], code[step, 1], code[step, 2]
        step += 1
        if kind == DOUBLE:
            if end - at < 8:
                return NOT_FAST
            values[row, a] = np.uint64(little_endian(buffer, at, 8)).view(np.float64)
            at += 8
        elif kind == FLOAT:
            if end - at < 4:
                return NOT_FAST
            values[row, a] = np.uint32(little_endian(buffer, at, 4)).view(np.float32)
            at += 4
        elif kind == LONG:
            number, at = _read_long(buffer, at, end)
            values[row, a] = float(number)
        elif kind == TEXT:
            size, at = _read_size(buffer, at, end)
            if (
                at == NOT_FAST
                or not is_utf8(buffer, at, at + size)
                or not read_text(buffer, at, at + size, tree, a, cells, row)
            ):
                return NOT_FAST
            at += size
        elif kind == AGAIN:
            stack[a, STACK_SIZE] -= 1
            step = b if stack[a, STACK_SIZE] > 0 else code[step - 1, 3]
        elif kind == ROW:
            index = stack[a, STACK_INDEX] + 1
            if index >= LARGEST_BATCH:
                return NOT_FAST
            stack[a, STACK_INDEX] = index
            row = first_row + index
            if index >= rows:
                clear_row(values, row)
                rows += 1
        elif kind == ENUM:
            number, at = _read_long(buffer, at, end)
            if not 0 <= number < a:
                return NOT_FAST
            if b >= 0:
                values[row, b] = float(tables[code[step - 1, 3] + number])
        elif kind == UNION:
            number, at = _read_long(buffer, at, end)
            if not 0 <= number < b:
                return NOT_FAST
            step = tables[a + number]
        elif kind == JUMP:
            step = a
        elif kind == SKIP:
            if end - at < a:
                return NOT_FAST
            at += a
        elif kind == SKIP_LONG:
            _, at = _read_long(buffer, at, end)
        elif kind == SKIP_DATA:
            size, at = _read_size(buffer, at, end)
            at += size
        elif kind == SKIP_TEXT:
            size, at = _read_size(buffer, at, end)
            if at == NOT_FAST or not is_utf8(buffer, at, at + size):
                return NOT_FAST
            at += size
        elif kind == OPEN:
            stack[a, STACK_NODE] = b
            stack[a, STACK_INDEX] = -1
            stack[a, STACK_HINT] = tree.nodes[max(b, 0), CHILD]
            stack[a, STACK_SEEN] = 0
        elif kind == BLOCK:
            count, at = _read_long(buffer, at, end)
            if count < 0 and at != NOT_FAST:
                # The bytes of the block follow: for readers that skip it.
                count = -count
                _, at = _read_long(buffer, at, end)
            # An element has a byte at least.
            if at == NOT_FAST or not 0 <= count <= end - at:
                return NOT_FAST
            stack[a, STACK_SIZE] = count
            if count == 0:
                step = b
        elif kind == ELEMENT:
            stack[a, STACK_INDEX] += 1
            child = find_element(tree.nodes, stack[a, STACK_NODE], stack[a, STACK_INDEX])
            if child >= 0:
                step = tables[b + child]
        elif kind == KEY:
            size, at = _read_size(buffer, at, end)
            if at == NOT_FAST or not is_utf8(buffer, at, at + size):
                return NOT_FAST
            child = find_child(buffer, at, size, tree.nodes, tree.texts, stack, a)
            if child == REPEATED:
                return NOT_FAST
            at += size
            if child >= 0:
                step = tables[b + child]
        elif kind == FIRST_ROW:
            row = first_row
        elif kind == END:
            return rows if at == end else NOT_FAST
        else:
            return NOT_FAST
        if at == NOT_FAST:
            return NOT_FAST


@compiled_together
def _read_long(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """Read a number in zigzag encoding; returns it, and the index after it."""
    if at < end and buffer[at] < 0x80:
        raw = np.int64(buffer[at])
        return int((raw >> 1) ^ -(raw & 1)), at + 1
    bits = _U0
    shift = _U0
    while at < end:
        byte = np.uint64(buffer[at])
        at += 1
        if shift == _LAST_SHIFT and byte > _U1:
            return 0, NOT_FAST
        bits |= (byte & _SEVEN_BITS) << shift
        if byte < _MORE:
            return int(np.int64(bits >> _U1) ^ -np.int64(bits & _U1)), at
        shift += _U7
    return 0, NOT_FAST


@compiled_together
def _read_size(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """Read how many bytes follow; returns 0 and `NOT_FAST` if the record does not have them."""
    size, at = _read_long(buffer, at, end)
    if at == NOT_FAST or not 0 <= size <= end - at:
        return 0, NOT_FAST
    return size, at
