"""Compiled reader of Protobuf: reads the fields of messages by the tables of `protobuf_plan`.

See https://protobuf.dev/programming-guides/encoding/. It leaves every record with anything
unexpected (another type than the schema's, a field twice that may come once, a group, a number of
more than 64 bits, a text that is not UTF-8) to the general reader, which says what is wrong.

It is one long module, because the walk is one state machine, and its numbers are read nowhere else.
"""

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

from streamer.arrays import Bytes, Floats, Ints
from streamer.compiled import as_index, compiled_inline, compiled_together
from streamer.contracts.decimals import NOT_FAST, little_endian
from streamer.contracts.readings import LARGEST_BATCH
from streamer.contracts.records import VALUE as RECORD
from streamer.contracts.records import VALUE_END as RECORD_END
from streamer.profiles.cells import Cells, clear_row, note_record, read_text
from streamer.profiles.fast_framed import NO_PLAN
from streamer.profiles.protobuf_plan import (
    ACTION,
    AFTER,
    BIT,
    CHOOSE,
    COUNTS,
    COUNTS_END,
    DATA,
    DEFAULTS,
    DEFAULTS_END,
    ELEMENTS,
    ENTER,
    FIRST,
    FIXED_32,
    FIXED_64,
    GENERAL,
    NEEDED,
    NUMBER,
    PLACE,
    READ,
    ROWS,
    SCALAR,
    SKIP_LIST,
    TEXT,
    VALUE,
    VARINT,
    WIRE,
    ProtobufPlan,
)
from streamer.profiles.record_layout import FRAME
from streamer.profiles.same_bytes import has_same_bytes
from streamer.profiles.tree import Tree
from streamer.profiles.utf8 import is_utf8

_MESSAGE, _END, _SEEN, _ROW, _FIELD = range(5)
"""Columns of the stack of open messages: the plan, where the message ends, the bits of the fields
that were there, the row that is filled, and the field that is expected next."""

_DOUBLE, _FLOAT, _STRING = (
    int(each)
    for each in (
        FieldDescriptor.TYPE_DOUBLE,
        FieldDescriptor.TYPE_FLOAT,
        FieldDescriptor.TYPE_STRING,
    )
)
_UNSIGNED_64 = (int(FieldDescriptor.TYPE_UINT64), int(FieldDescriptor.TYPE_FIXED64))
_SIGNED_64 = (int(FieldDescriptor.TYPE_INT64), int(FieldDescriptor.TYPE_SFIXED64))
_UNSIGNED_32 = (int(FieldDescriptor.TYPE_UINT32), int(FieldDescriptor.TYPE_FIXED32))
_ZIGZAG_64, _ZIGZAG_32 = int(FieldDescriptor.TYPE_SINT64), int(FieldDescriptor.TYPE_SINT32)

_LONGEST_TAG = 5
_U0, _U1, _U3, _U7, _LAST_SHIFT = (np.uint64(n) for n in (0, 1, 3, 7, 63))
_LOW = np.uint64(0xFFFF_FFFF)
_MORE, _SEVEN_BITS = np.uint64(0x80), np.uint64(0x7F)


@compiled_together
def read_protobuf_records(
    buffer: Bytes,
    table: Ints,
    first: int,
    starts: Ints,
    has_device: bool,
    plan: ProtobufPlan,
    tree: Tree,
    cells: Cells,
    integers: Ints,
) -> tuple[int, int, int]:
    """Fill in integers and cells; ``starts`` has the schema of each record.

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
        begin, end = table[record, RECORD] + FRAME, table[record, RECORD_END]
        count = NOT_FAST
        message, begin = _find_message(buffer, begin, end, plan, starts[record])
        if message != NO_PLAN:
            count = _read_record(buffer, begin, end, plan, message, tree, cells, rows)
        if note_record(cells, has_device, record, rows, count, integers, found):
            found += 1
            rows += count
    return len(table), found, rows


@compiled_together
def _find_message(
    buffer: Bytes, at: int, end: int, plan: ProtobufPlan, schema: int
) -> tuple[int, int]:
    """Return the plan of the message here, or `NO_PLAN`, and where the message begins."""
    for path in range(plan.schemas[schema, 0], plan.schemas[schema, 1]):
        begin = plan.paths[path, 0]
        size = plan.paths[path, 1] - begin
        if at + size <= end and has_same_bytes(buffer, at, plan.texts, begin, size):
            return plan.paths[path, 2], at + size
    return NO_PLAN, at


@compiled_inline
def _read_record(  # noqa: C901 - one state machine
    buffer: Bytes,
    at: int,
    end: int,
    plan: ProtobufPlan,
    message: int,
    tree: Tree,
    cells: Cells,
    first_row: int,
) -> int:
    """Read one message into rows of cells from a row on; returns their number or `NOT_FAST`."""
    messages, fields, tables = plan.messages, plan.fields, plan.tables
    stack, values, counts = cells.stack, cells.values, plan.counts
    rows = 1
    row = first_row
    clear_row(values, row)
    _begin_message(plan, message, values, row)
    depth = 0
    seen = np.int64(0)
    expected = messages[message, FIRST]
    while True:
        while at == end:
            needed = messages[as_index(message), NEEDED]
            if seen & needed != needed:
                return NOT_FAST
            if depth == 0:
                return rows
            depth -= 1
            level = as_index(depth)
            message, end, seen = stack[level, _MESSAGE], stack[level, _END], stack[level, _SEEN]
            row, expected = stack[level, _ROW], stack[level, _FIELD]
        begin = at
        tag, at = _read_varint(buffer, at, end)
        if at == NOT_FAST or tag > _LOW or at - begin > _LONGEST_TAG:
            return NOT_FAST
        number, wire = int(np.int64(tag >> _U3)), int(np.int64(tag & _U7))
        found = _find_field(messages, fields, message, expected, number)
        if found < 0:
            at = _skip(buffer, at, end, wire) if number > 0 else NOT_FAST
            if at == NOT_FAST:
                return NOT_FAST
            continue
        expected = found
        field = as_index(found)
        action, bit = fields[field, ACTION], fields[field, BIT]
        if action == GENERAL or seen & bit != 0:
            return NOT_FAST
        seen |= bit
        is_list = action in (ROWS, ELEMENTS, SKIP_LIST)
        # A list of numbers may be written at once, whatever the schema says.
        is_packed = is_list and wire == DATA and fields[field, WIRE] != DATA
        if wire != fields[field, WIRE] and not is_packed:
            return NOT_FAST
        if action == READ:
            at, read = _read_scalar(buffer, at, end, field, fields)
            if at == NOT_FAST:
                return NOT_FAST
            values[as_index(row), as_index(fields[field, VALUE])] = read
            continue
        after = at
        if wire == DATA:
            size, at = _read_varint(buffer, at, end)
            if at == NOT_FAST or size > np.uint64(end - at):
                return NOT_FAST
            after = int(at + np.int64(size))
        own_row = row
        while not is_packed or at < after:
            step = found
            if action == ROWS:
                node = as_index(fields[field, PLACE])
                row = first_row + counts[node]
                counts[node] += 1
                if row >= first_row + LARGEST_BATCH:
                    return NOT_FAST
                if row >= first_row + rows:
                    clear_row(values, row)
                    rows += 1
                step = fields[field, VALUE]
            elif action == ELEMENTS:
                node, elements = as_index(fields[field, PLACE]), fields[field, VALUE]
                step = tables[elements + 1 + min(counts[node], tables[elements])]
                counts[node] += 1
            todo, place = fields[as_index(step), ACTION], fields[as_index(step), VALUE]
            if todo == GENERAL:
                return NOT_FAST
            if todo == ENTER:
                if depth == len(stack):
                    return NOT_FAST
                level = as_index(depth)
                stack[level, _MESSAGE], stack[level, _END] = message, end
                stack[level, _SEEN], stack[level, _ROW] = seen, own_row
                stack[level, _FIELD] = expected
                depth += 1
                message, end, seen = place, after, np.int64(0)
                expected = messages[message, FIRST]
                _begin_message(plan, message, values, row)
                break
            if wire == DATA and not is_packed:
                is_text = todo == TEXT or fields[field, SCALAR] == _STRING
                if is_text and not is_utf8(buffer, at, after):
                    return NOT_FAST
                if todo == TEXT and not read_text(buffer, at, after, tree, place, cells, row):
                    return NOT_FAST
                at = after
            else:
                kept = todo in (READ, CHOOSE)
                at, read = _read_scalar(buffer, at, after if is_packed else end, field, fields)
                if at == NOT_FAST:
                    return NOT_FAST
                if todo == CHOOSE:
                    read = _find_choice(tables, fields[step, PLACE], read)
                    if np.isnan(read):
                        return NOT_FAST
                if kept:
                    values[as_index(row), as_index(place)] = read
            row = own_row
            if not is_packed:
                break


@compiled_together
def _begin_message(plan: ProtobufPlan, message: int, values: Floats, row: int) -> None:
    """Fill in what absent fields of a message have, and count its lists from 0."""
    messages, here = plan.messages, as_index(message)
    for i in range(messages[here, DEFAULTS], messages[here, DEFAULTS_END]):
        values[as_index(row), as_index(plan.slots[as_index(i)])] = plan.defaults[as_index(i)]
    for i in range(messages[here, COUNTS], messages[here, COUNTS_END]):
        plan.counts[as_index(plan.tables[as_index(i)])] = 0


@compiled_together
def _find_field(messages: Ints, fields: Ints, message: int, expected: int, number: int) -> int:
    """Return the field with a number, -1 if the message has none. Most come in their order."""
    after = messages[as_index(message), AFTER]
    for field in range(expected, min(expected + 2, after)):
        if fields[as_index(field), NUMBER] == number:
            return field
    for field in range(messages[as_index(message), FIRST], after):
        if fields[as_index(field), NUMBER] == number:
            return field
    return -1


@compiled_together
def _skip(buffer: Bytes, at: int, end: int, wire: int) -> int:
    """Return the index after a value of a field that the schema does not have."""
    if wire == VARINT:
        _, at = _read_varint(buffer, at, end)
        return at
    if wire == DATA:
        size, at = _read_varint(buffer, at, end)
        if at == NOT_FAST or size > np.uint64(end - at):
            return NOT_FAST
        return int(at + np.int64(size))
    if wire == FIXED_64:
        return at + 8 if end - at >= 8 else NOT_FAST
    if wire == FIXED_32:
        return at + 4 if end - at >= 4 else NOT_FAST
    return NOT_FAST


@compiled_inline
def _read_scalar(  # noqa: C901 - a case for each type
    buffer: Bytes, at: int, end: int, field: int, fields: Ints
) -> tuple[int, float]:
    """Read a number of a field's type; returns the index after it, or `NOT_FAST`, and it."""
    scalar, wire = fields[field, SCALAR], fields[field, WIRE]
    if wire == FIXED_64:
        if end - at < 8:
            return NOT_FAST, 0.0
        bits = little_endian(buffer, at, 8)
        at += 8
        if scalar == _DOUBLE:
            return at, float(np.uint64(bits).view(np.float64))
    elif wire == FIXED_32:
        if end - at < 4:
            return NOT_FAST, 0.0
        bits = little_endian(buffer, at, 4)
        at += 4
        if scalar == _FLOAT:
            return at, float(np.uint32(bits).view(np.float32))
    else:
        bits, at = _read_varint(buffer, at, end)
    if scalar in _SIGNED_64:
        return at, float(np.int64(bits))
    if scalar in _UNSIGNED_64:
        return at, float(bits)
    if scalar == _ZIGZAG_64:
        return at, float(np.int64(bits >> _U1) ^ -np.int64(bits & _U1))
    # Of a longer number the lowest 32 bits count.
    low = np.int64(bits & _LOW)
    if scalar in _UNSIGNED_32:
        return at, float(low)
    if scalar == _ZIGZAG_32:
        return at, float((low >> 1) ^ -(low & 1))
    return at, float((low ^ 0x8000_0000) - 0x8000_0000)


@compiled_together
def _find_choice(tables: Ints, place: int, number: float) -> float:
    """Return which choice a value of an enum is, -1 for another one, NaN if it has no name."""
    for i in range(tables[place]):
        if tables[place + 1 + 2 * i] == number:
            return float(tables[place + 2 + 2 * i])
    return np.nan


@compiled_together
def _read_varint(buffer: Bytes, at: int, end: int) -> tuple[np.uint64, int]:
    """Read a number of seven bits a byte; returns it, and the index after it or `NOT_FAST`."""
    if at < end and buffer[at] < 0x80:
        return np.uint64(buffer[at]), at + 1
    bits = _U0
    shift = _U0
    while at < end:
        byte = np.uint64(buffer[at])
        at += 1
        if shift == _LAST_SHIFT and byte > _U1:
            return _U0, NOT_FAST
        bits |= (byte & _SEVEN_BITS) << shift
        if byte < _MORE:
            return bits, at
        shift += _U7
    return _U0, NOT_FAST
