"""Compiled reader of JSON by a profile: walks through a text and the tree of paths together.

It skips what the tree does not have, and fills a row of cells for each sample. It leaves every
record with anything unexpected (escapes, another type, a name twice, cut short) to the general
reader, which says what is wrong. In what it skips it looks at strings and brackets only.

    {"deviceId": "a", "payload": [{"time": 1, "values": {"x": 5}}, {"time": 2, ...}]}
                                   -------- row 0 -------------    ---- row 1 ----
"""

from streamer.arrays import Bytes, Ints
from streamer.compiled import as_index, compiled_inline, compiled_together
from streamer.contracts.decimals import NOT_FAST
from streamer.contracts.readings import LARGEST_BATCH
from streamer.profiles.cells import (
    REPEATED,
    STACK_HINT,
    STACK_INDEX,
    STACK_NODE,
    STACK_SEEN,
    Cells,
    clear_row,
    find_child,
    find_element,
)
from streamer.profiles.json_tokens import find_end_of_text, skip_null, skip_spaces, skip_value
from streamer.profiles.json_values import read_json_numbers, read_json_value
from streamer.profiles.patterns import (
    Patterns,
    end_pattern,
    follow_pattern,
    note_skipped,
    note_value,
    start_pattern,
)
from streamer.profiles.tree import (
    CHILD,
    FIELDS,
    LEAF,
    LIST,
    NUMBERS,
    REPEATS,
    SKIPPED,
    TYPE,
    Tree,
)

_QUOTE, _COLON, _COMMA, _N = (ord(sign) for sign in '":,n')
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = (ord(sign) for sign in "{}[]")


@compiled_inline
def read_json_record(  # noqa: C901 - one state machine
    buffer: Bytes, at: int, end: int, tree: Tree, cells: Cells, patterns: Patterns, first_row: int
) -> int:
    """Read one text into rows of cells from a row on; returns their number or `NOT_FAST`."""
    nodes, stack, values = tree.nodes, cells.stack, cells.values
    depth = 0
    noted_depth = -1
    node = 0
    rows = 1
    row = first_row
    clear_row(values, row)
    at = skip_spaces(buffer, at, end)
    while True:
        if at >= end:
            return NOT_FAST
        # Read one value, or enter it.
        kind = nodes[as_index(node), TYPE] if node != SKIPPED else LEAF
        byte = buffer[as_index(at)]
        begin = at
        if node == SKIPPED:
            at = skip_value(buffer, at, end)
            note_skipped(patterns, begin, at)
        elif byte == _N:
            at = skip_null(buffer, at, end)
        elif kind in (LEAF, NUMBERS):
            if kind == LEAF:
                at = read_json_value(buffer, at, end, tree, node, cells, row)
            else:
                at = read_json_numbers(buffer, at, end, tree, node, cells, row)
            is_number = kind == LEAF and byte != _QUOTE
            note_value(patterns, begin, at, is_number, tree, node, cells, row)
        elif byte == (_OPEN if kind == FIELDS else _OPEN_LIST):
            at = NOT_FAST
            if nodes[as_index(node), REPEATS]:
                at = follow_pattern(
                    False,
                    buffer,
                    begin,
                    end,
                    tree,
                    node,
                    cells,
                    row,
                    patterns,
                )
                if at == NOT_FAST:
                    start_pattern(patterns, node, begin)
                    noted_depth = depth
            if at == NOT_FAST:
                at = skip_spaces(buffer, begin + 1, end)
                if depth == len(stack) or at >= end:
                    return NOT_FAST
                if buffer[at] == (_CLOSE if kind == FIELDS else _CLOSE_LIST):
                    at += 1
                    if depth == noted_depth:
                        end_pattern(patterns, at)
                        noted_depth = -1
                else:
                    stack[depth, STACK_NODE] = node
                    stack[depth, STACK_INDEX] = 0
                    stack[depth, STACK_HINT] = nodes[node, CHILD]
                    stack[depth, STACK_SEEN] = 0
                    if kind == FIELDS:
                        at, node = _enter_field(buffer, at, end, nodes, tree.texts, stack, depth)
                    elif kind == LIST:
                        node = nodes[node, CHILD]
                    else:
                        node = find_element(nodes, node, 0)
                    if at == NOT_FAST:
                        return NOT_FAST
                    depth += 1
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
            level = as_index(depth - 1)
            node = stack[level, STACK_NODE]
            kind = nodes[as_index(node), TYPE]
            byte = buffer[as_index(at)]
            at += 1
            if byte != (_CLOSE if kind == FIELDS else _CLOSE_LIST):
                break
            depth -= 1
            if depth == noted_depth:
                end_pattern(patterns, at)
                noted_depth = -1
            if kind == LIST:
                row = first_row
        if byte != _COMMA:
            return NOT_FAST
        at = skip_spaces(buffer, at, end)
        stack[level, STACK_INDEX] += 1
        index = stack[level, STACK_INDEX]
        if kind == FIELDS:
            at, node = _enter_field(buffer, at, end, nodes, tree.texts, stack, depth - 1)
            if at == NOT_FAST:
                return NOT_FAST
        elif kind == LIST:
            if index >= LARGEST_BATCH:
                return NOT_FAST
            row = first_row + index
            if index >= rows:
                clear_row(values, row)
                rows += 1
            node = nodes[as_index(node), CHILD]
        else:
            node = find_element(nodes, node, index)


@compiled_together
def _enter_field(
    buffer: Bytes, at: int, end: int, nodes: Ints, texts: Bytes, stack: Ints, level: int
) -> tuple[int, int]:
    """Read a name and a colon; returns where the value begins, and its node or `SKIPPED`."""
    if at >= end or buffer[at] != _QUOTE:
        return NOT_FAST, SKIPPED
    after = find_end_of_text(buffer, at + 1, end)
    if after == NOT_FAST:
        return NOT_FAST, SKIPPED
    child = find_child(buffer, at + 1, after - at - 1, nodes, texts, stack, level)
    at = skip_spaces(buffer, after + 1, end)
    if child == REPEATED or at >= end or buffer[at] != _COLON:
        return NOT_FAST, SKIPPED
    return skip_spaces(buffer, at + 1, end), child
