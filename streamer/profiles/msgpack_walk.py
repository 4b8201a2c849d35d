"""Compiled reader of MessagePack by a profile: the walk of `json_walk`, over counted values."""

from streamer.arrays import Bytes
from streamer.compiled import compiled_inline
from streamer.contracts.decimals import NOT_FAST
from streamer.contracts.readings import LARGEST_BATCH
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
)
from streamer.profiles.msgpack_values import (
    LIST_OF,
    MAP_OF,
    NIL,
    TEXT,
    read_head,
    read_packed_numbers,
    read_packed_value,
    skip_packed,
)
from streamer.profiles.patterns import (
    Patterns,
    end_pattern,
    follow_pattern,
    note_skipped,
    note_value,
    start_pattern,
)
from streamer.profiles.tree import CHILD, FIELDS, LEAF, LIST, NUMBERS, REPEATS, SKIPPED, TYPE, Tree


@compiled_inline
def read_packed_record(  # noqa: C901 - one state machine
    buffer: Bytes, at: int, end: int, tree: Tree, cells: Cells, patterns: Patterns, first_row: int
) -> int:
    """Read one value into rows of cells from a row on; returns their number or `NOT_FAST`."""
    nodes, stack, values = tree.nodes, cells.stack, cells.values
    depth = 0
    noted_depth = -1
    node = 0
    rows = 1
    row = first_row
    clear_row(values, row)
    while True:
        if at >= end:
            return NOT_FAST
        # Read one value, or enter it.
        kind = nodes[node, TYPE] if node != SKIPPED else LEAF
        begin = at
        if node == SKIPPED:
            at = skip_packed(buffer, at, end)
            note_skipped(patterns, begin, at)
        elif buffer[at] == NIL:
            at += 1
        elif kind in (LEAF, NUMBERS):
            if kind == LEAF:
                at = read_packed_value(buffer, at, end, tree, node, cells, row)
            else:
                at = read_packed_numbers(buffer, at, end, tree, node, cells, row)
            note_value(patterns, begin, at, False, tree, node, cells, row)
        else:
            at = NOT_FAST
            if nodes[node, REPEATS]:
                at = follow_pattern(
                    True,
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
                found, at, size = read_head(buffer, begin, end)
                if found != (MAP_OF if kind == FIELDS else LIST_OF) or depth == len(stack):
                    return NOT_FAST
                stack[depth, STACK_NODE] = node
                stack[depth, STACK_INDEX] = -1
                stack[depth, STACK_SIZE] = size
                stack[depth, STACK_HINT] = nodes[node, CHILD]
                stack[depth, STACK_SEEN] = 0
                depth += 1
        if at == NOT_FAST:
            return NOT_FAST
        # Go on in the innermost map or list that does not end here.
        while True:
            if depth == 0:
                return rows if at == end else NOT_FAST
            node = stack[depth - 1, STACK_NODE]
            kind = nodes[node, TYPE]
            stack[depth - 1, STACK_INDEX] += 1
            index = stack[depth - 1, STACK_INDEX]
            if index < stack[depth - 1, STACK_SIZE]:
                break
            depth -= 1
            if depth == noted_depth:
                end_pattern(patterns, at)
                noted_depth = -1
            if kind == LIST:
                row = first_row
        if kind == FIELDS:
            found, at, size = read_head(buffer, at, end)
            if found != TEXT or at == NOT_FAST:
                return NOT_FAST
            node = find_child(buffer, at, size, nodes, tree.texts, stack, depth - 1)
            if node == REPEATED:
                return NOT_FAST
            at += size
        elif kind == LIST:
            if index >= LARGEST_BATCH:
                return NOT_FAST
            row = first_row + index
            if index >= rows:
                clear_row(values, row)
                rows += 1
            node = nodes[node, CHILD]
        else:
            node = find_element(nodes, node, index)
