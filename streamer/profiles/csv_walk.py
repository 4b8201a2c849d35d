"""Compiled reader of CSV by a profile. The general reader reads records with quotes."""

from streamer.arrays import Bytes
from streamer.compiled import compiled_inline
from streamer.contracts.decimals import NOT_FAST
from streamer.contracts.readings import LARGEST_BATCH
from streamer.profiles.cells import Cells, clear_row, read_text, strip_spaces
from streamer.profiles.tree import Tree

_QUOTE, _LINE = (ord(sign) for sign in '"\n')


@compiled_inline
def read_csv_record(
    buffer: Bytes, at: int, end: int, separator: int, tree: Tree, cells: Cells, first_row: int
) -> int:
    """Read lines into rows of cells from ``first_row`` on; returns their number or `NOT_FAST`."""
    rows = 0
    last = len(tree.columns) - 1
    while at < end:
        if rows >= LARGEST_BATCH:
            return NOT_FAST
        row = first_row + rows
        clear_row(cells.values, row)
        rows += 1
        for column in range(last + 1):
            begin = at
            while at < end and buffer[at] not in (separator, _LINE, _QUOTE):
                at += 1
            is_last = at >= end or buffer[at] == _LINE
            if is_last != (column == last) or (at < end and buffer[at] == _QUOTE):
                return NOT_FAST
            node = tree.columns[column]
            if node >= 0:
                begin, after = strip_spaces(buffer, begin, at)
                if not read_text(buffer, begin, after, tree, node, cells, row):
                    return NOT_FAST
            at += 1
    return rows or NOT_FAST
