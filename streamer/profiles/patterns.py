"""Compiled: reads an object by the pattern of one before it that looked alike.

A program writes its records, and the elements of their lists, with the same names in the same
order. What is between the values that differ is then the same bytes:

    {"name": "acc", "time": 1763906400000, "values": {"x": 0.12, "y": -0.98}}
    ~~~~~~~~~~~~~~~~~~~~~~~~~             ~~~~~~~~~~~~~~~~~    ~~~~~~~     ~~

A reader that has read an object field by field notes its pattern: steps, each with the bytes before
a value and what to do with the value. An object with the same bytes between its values is what that
reader would read, and is read in this way. Any other object is no match: the reader reads it
field by field, and its pattern is noted too. A choice, the name of a sensor, is part of it.
"""

from typing import NamedTuple, Self

import numpy as np

from streamer.arrays import Bytes, Floats, Ints
from streamer.compiled import as_index, compiled_inline, compiled_together
from streamer.contracts.decimals import NOT_FAST, read_number
from streamer.profiles.cells import Cells
from streamer.profiles.json_tokens import skip_value
from streamer.profiles.json_values import read_json_numbers, read_json_value
from streamer.profiles.msgpack_values import read_packed_numbers, read_packed_value, skip_packed
from streamer.profiles.paths import Kind
from streamer.profiles.same_bytes import has_same_bytes
from streamer.profiles.tree import CHILD, KIND, NEXT, NUMBERS, SLOT, TYPE, Tree

_CHOICE, _DEVICE = int(Kind.CHOICE), int(Kind.DEVICE)

_GAP, _GAP_END, _ACTION, _NODE, _VALUE, _VALUE_END = range(6)
"""Columns of steps: where the bytes before the value begin and end in the buffer, what to do, the
node of the value, or the slot of a number in JSON or of a choice, and where the value was; a choice
has its number in `_VALUE`."""
_READ, _READ_NUMBER, _READ_LONG, _READ_NUMBERS, _CHOOSE, _SKIP, _END = range(7)

_SIZE, _ROOT, _NEXT = range(3)
"""Columns of patterns: steps, or 0 while there is none; the node of the object; and the pattern
that came after this one the last time."""
_PATTERNS, _MOST_STEPS = 8, 48
_LONG = 10
"""Bytes of a number that is compared with the one before it in the same slot: the sensors of a
sample have the same time in a list of named readings."""
_LAST, _OLDEST, _NOTED, _STEPS, _GAP_BEGIN = range(5)

NOTHING = -1


class Patterns(NamedTuple):
    """What was noted in a fetch."""

    steps: Ints
    """(patterns, steps, 6)"""
    heads: Ints
    """(patterns, 3)"""
    state: Ints
    """(5,) The pattern that was read last; the one to be overwritten next; the one that is being
    noted, `NOTHING` if none is; its steps so far; where the bytes before its next value begin."""
    spans: Ints
    """(slots, 2) Where the last long number of a slot begins in the buffer, and its bytes."""
    numbers: Floats
    """(slots,) These numbers."""

    @classmethod
    def empty(cls, slots: int) -> Self:
        """Return no patterns."""
        return cls(
            np.zeros((_PATTERNS, _MOST_STEPS, 6), np.int64),
            np.zeros((_PATTERNS, 3), np.int64),
            np.array([0, 0, NOTHING, 0, 0], np.int64),
            np.zeros((slots, 2), np.int64),
            np.zeros(slots),
        )


@compiled_together
def start_pattern(patterns: Patterns, node: int, at: int) -> None:
    """Note the pattern of the object that begins here, in the place of the oldest one."""
    state = patterns.state
    pattern = state[_OLDEST]
    state[_OLDEST] = (pattern + 1) % _PATTERNS
    state[_NOTED], state[_STEPS], state[_GAP_BEGIN] = pattern, 0, at
    patterns.heads[pattern, _SIZE] = 0
    patterns.heads[pattern, _ROOT] = node
    patterns.heads[pattern, _NEXT] = pattern


@compiled_together
def note_skipped(patterns: Patterns, begin: int, end: int) -> None:
    """Note a value that was skipped."""
    if patterns.state[_NOTED] != NOTHING:
        _note(patterns, begin, _SKIP, 0, begin, end, end)


@compiled_inline
def note_value(
    patterns: Patterns,
    begin: int,
    end: int,
    is_json_number: bool,
    tree: Tree,
    node: int,
    cells: Cells,
    row: int,
) -> None:
    """Note a value that was read into the cells of a node; texts and lists are no numbers."""
    if patterns.state[_NOTED] == NOTHING:
        return
    if tree.nodes[node, KIND] == _CHOICE:
        choice = int(cells.values[row, tree.nodes[node, SLOT]])
        # Its text is the same: it belongs to the bytes before the next value.
        gap = patterns.state[_GAP_BEGIN]
        _note(patterns, gap, _CHOOSE, tree.nodes[node, SLOT], choice, end, gap)
    elif is_json_number:
        action = _READ_NUMBER if end - begin < _LONG else _READ_LONG
        _note(patterns, begin, action, tree.nodes[node, SLOT], begin, end, end)
    else:
        action = _READ_NUMBERS if tree.nodes[node, TYPE] == NUMBERS else _READ
        _note(patterns, begin, action, node, begin, end, end)


@compiled_together
def end_pattern(patterns: Patterns, end: int) -> None:
    """Note that the object ends here."""
    state = patterns.state
    if state[_NOTED] != NOTHING:
        pattern = state[_NOTED]
        _note(patterns, end, _END, 0, end, end, end)
        if state[_NOTED] != NOTHING:
            patterns.heads[pattern, _SIZE] = state[_STEPS]
            patterns.heads[state[_LAST], _NEXT] = pattern
            state[_LAST] = pattern
            state[_NOTED] = NOTHING


@compiled_together
def _note(
    patterns: Patterns, gap_end: int, action: int, node: int, value: int, value_end: int, after: int
) -> None:
    state = patterns.state
    if state[_STEPS] == _MOST_STEPS:
        state[_NOTED] = NOTHING
        return
    step = patterns.steps[state[_NOTED], state[_STEPS]]
    step[_GAP], step[_GAP_END], step[_ACTION] = state[_GAP_BEGIN], gap_end, action
    step[_NODE], step[_VALUE], step[_VALUE_END] = node, value, value_end
    state[_STEPS] += 1
    state[_GAP_BEGIN] = after


@compiled_inline
def follow_pattern(
    packed: bool,
    buffer: Bytes,
    at: int,
    end: int,
    tree: Tree,
    node: int,
    cells: Cells,
    row: int,
    patterns: Patterns,
) -> int:
    """Read the object here, MessagePack or JSON, by a pattern of its node.

    Returns the index after it, `NOT_FAST` if no pattern matches.
    """
    expected = patterns.heads[as_index(patterns.state[_LAST]), _NEXT]
    for attempt in range(-1, _PATTERNS):
        pattern = as_index(expected if attempt < 0 else attempt)
        size = patterns.heads[pattern, _SIZE]
        if size > 0 and patterns.heads[pattern, _ROOT] == node and attempt != expected:
            steps = patterns.steps[pattern]
            after, done = _follow(packed, buffer, at, end, tree, cells, row, patterns, steps, size)
            if after != NOT_FAST:
                patterns.heads[as_index(patterns.state[_LAST]), _NEXT] = pattern
                patterns.state[_LAST] = pattern
                return after
            _forget(steps, done, tree.nodes, cells, row)
    return NOT_FAST


@compiled_inline
def _follow(  # noqa: C901 - a case for each action
    packed: bool,
    buffer: Bytes,
    at: int,
    end: int,
    tree: Tree,
    cells: Cells,
    row: int,
    patterns: Patterns,
    steps: Ints,
    size: int,
) -> tuple[int, int]:
    """Follow steps; returns the index after the object, or `NOT_FAST`, and the steps begun."""
    for i in range(size):
        step = as_index(i)
        action, node = steps[step, _ACTION], steps[step, _NODE]
        if action == _CHOOSE:
            cells.values[as_index(row), as_index(node)] = steps[step, _VALUE]
            continue
        gap = steps[step, _GAP]
        length = steps[step, _GAP_END] - gap
        if at + length > end or not has_same_bytes(buffer, at, buffer, gap, length):
            return NOT_FAST, i
        at += length
        if action in (_READ_NUMBER, _READ_LONG):
            is_long = action == _READ_LONG
            at = _read_number(buffer, at, end, is_long, tree, node, cells, row, patterns)
        elif action == _END:
            continue
        elif at >= end:
            return NOT_FAST, i
        elif action == _SKIP:
            at = _skip_alike(packed, buffer, at, end, steps[step])
        elif packed:
            if action == _READ:
                at = read_packed_value(buffer, at, end, tree, node, cells, row)
            else:
                at = read_packed_numbers(buffer, at, end, tree, node, cells, row)
        elif action == _READ:
            at = read_json_value(buffer, at, end, tree, node, cells, row)
        else:
            at = read_json_numbers(buffer, at, end, tree, node, cells, row)
        if at == NOT_FAST:
            return NOT_FAST, i + 1
    return at, size


@compiled_inline
def _read_number(
    buffer: Bytes,
    at: int,
    end: int,
    is_long: bool,
    tree: Tree,
    slot: int,
    cells: Cells,
    row: int,
    patterns: Patterns,
) -> int:
    """Read a number, or take the last long one of the slot if it has the same text."""
    span, cell = patterns.spans[as_index(slot)], (as_index(row), as_index(slot))
    # The byte after the number is compared too: it ends there.
    if (
        is_long
        and span[1] > 0
        and at + span[1] < end
        and has_same_bytes(buffer, at, buffer, span[0], span[1] + 1)
    ):
        cells.values[cell] = patterns.numbers[as_index(slot)]
        return int(at + span[1])
    after, number = read_number(buffer, at, end, tree.powers)
    cells.values[cell] = number
    if is_long and at < after < end:
        span[0], span[1] = at, after - at
        patterns.numbers[as_index(slot)] = number
    return after


@compiled_together
def _skip_alike(packed: bool, buffer: Bytes, at: int, end: int, step: Ints) -> int:
    """Skip a value: at once if it is an object, a list or a text of the same bytes as before."""
    begin = step[_VALUE]
    length = step[_VALUE_END] - begin
    after: int = at + length
    if (
        length > 1
        and (packed or buffer[begin] in _BRACKETS_AND_QUOTE)
        and after <= end
        and has_same_bytes(buffer, at, buffer, begin, length)
    ):
        return after
    after = skip_packed(buffer, at, end) if packed else skip_value(buffer, at, end)
    if after != NOT_FAST:
        step[_VALUE], step[_VALUE_END] = at, after
    return after


_BRACKETS_AND_QUOTE = tuple(ord(sign) for sign in '{["')


@compiled_together
def _forget(steps: Ints, size: int, nodes: Ints, cells: Cells, row: int) -> None:
    """Empty the cells that the first steps of a pattern have filled in."""
    for i in range(size):
        action, node = steps[i, _ACTION], steps[i, _NODE]
        if action in (_CHOOSE, _READ_NUMBER, _READ_LONG):
            cells.values[row, node] = np.nan
        elif action == _READ:
            if nodes[node, KIND] == _DEVICE:
                cells.device[:] = 0
            else:
                cells.values[row, nodes[node, SLOT]] = np.nan
        elif action == _READ_NUMBERS:
            child = nodes[node, CHILD]
            while child >= 0:
                cells.values[row, nodes[child, SLOT]] = np.nan
                child = nodes[child, NEXT]
