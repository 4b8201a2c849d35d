"""Compiled: reads the values of JSON that a profile names."""

from streamer.arrays import Bytes
from streamer.compiled import compiled_inline
from streamer.contracts.decimals import NOT_FAST, read_number
from streamer.profiles.cells import Cells, read_text
from streamer.profiles.json_tokens import find_end_of_text, skip_spaces
from streamer.profiles.paths import Kind
from streamer.profiles.tree import CHILD, KIND, NEXT, SLOT, Tree

_NUMBER = int(Kind.NUMBER)
_QUOTE, _COMMA, _OPEN_LIST, _CLOSE_LIST = (ord(sign) for sign in '",[]')


@compiled_inline
def read_json_value(
    buffer: Bytes, at: int, end: int, tree: Tree, node: int, cells: Cells, row: int
) -> int:
    """Read a number or a text into the cell of a node; returns the index after it."""
    if buffer[at] != _QUOTE:
        if tree.nodes[node, KIND] != _NUMBER:
            return NOT_FAST
        at, cells.values[row, tree.nodes[node, SLOT]] = read_number(buffer, at, end, tree.powers)
        return at
    begin = at + 1
    at = find_end_of_text(buffer, begin, end)
    if at == NOT_FAST or not read_text(buffer, begin, at, tree, node, cells, row):
        return NOT_FAST
    return at + 1


@compiled_inline
def read_json_numbers(
    buffer: Bytes, at: int, end: int, tree: Tree, node: int, cells: Cells, row: int
) -> int:
    """Read a list of exactly as many numbers as the node has children."""
    if buffer[at] != _OPEN_LIST:
        return NOT_FAST
    child = tree.nodes[node, CHILD]
    while child >= 0:
        at = skip_spaces(buffer, at + 1, end)
        at, cells.values[row, tree.nodes[child, SLOT]] = read_number(buffer, at, end, tree.powers)
        if at == NOT_FAST:
            return NOT_FAST
        at = skip_spaces(buffer, at, end)
        child = tree.nodes[child, NEXT]
        if at >= end or buffer[at] != (_COMMA if child >= 0 else _CLOSE_LIST):
            return NOT_FAST
    return at + 1
