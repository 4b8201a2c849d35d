"""Compiled: reads the values of MessagePack that a profile names, and skips others.

See https://github.com/msgpack/msgpack/blob/master/spec.md. Values of extension types, such as its
timestamps, are left to the general reader.
"""

import numpy as np

from streamer.arrays import Bytes
from streamer.compiled import compiled_inline, compiled_together
from streamer.contracts.decimals import NOT_FAST
from streamer.profiles.cells import Cells, read_text
from streamer.profiles.paths import Kind
from streamer.profiles.tree import CHILD, KIND, NEXT, SLOT, Tree

NIL = 0xC0
"""The byte of a null."""

OTHER, NUMBER, TEXT, LIST_OF, MAP_OF = range(5)
"""What a value is: null, a truth value or bytes; a number; a text; a list; a map."""

_NUMBER = int(Kind.NUMBER)
_FALSE, _TRUE, _NEVER = 0xC2, 0xC3, 0xC1
_BIN_8, _BIN_32, _EXT_8, _EXT_32, _FLOAT_32, _FLOAT_64 = 0xC4, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB
_UINT_8, _UINT_64, _INT_8, _INT_64, _FIXEXT, _FIXEXT_END = 0xCC, 0xCF, 0xD0, 0xD3, 0xD4, 0xD8
_STR_8, _STR_32, _ARRAY_16, _ARRAY_32, _MAP_16, _MAP_32 = 0xD9, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF
_FIXMAP, _FIXARRAY, _FIXSTR, _NEGATIVE = 0x80, 0x90, 0xA0, 0xE0


@compiled_together
def read_head(  # noqa: C901 - a case for each kind of value
    buffer: Bytes, at: int, end: int
) -> tuple[int, int, int]:
    """Read how a value begins.

    Returns:
        What it is; the index after its head; and the bytes of a text or of another value, or the
        number of elements or of pairs. The index is `NOT_FAST` for a value that is cut short or of
        an extension type.
    """
    if at >= end:
        return OTHER, NOT_FAST, 0
    byte = int(buffer[at])
    at += 1
    if byte < _FIXMAP or byte >= _NEGATIVE:
        return NUMBER, at - 1, 1
    if byte < _FIXARRAY:
        return MAP_OF, at, byte - _FIXMAP
    if byte < _FIXSTR:
        return LIST_OF, at, byte - _FIXARRAY
    kind, size = OTHER, 0
    if byte < NIL:
        kind, size = TEXT, byte - _FIXSTR
    elif byte in (_FLOAT_32, _FLOAT_64):
        kind, at, size = NUMBER, at - 1, 5 if byte == _FLOAT_32 else 9
    elif _UINT_8 <= byte <= _INT_64:
        kind, at, size = NUMBER, at - 1, 1 + (1 << ((byte - _UINT_8) & 3))
    elif _STR_8 <= byte <= _STR_32:
        kind, size = TEXT, _big_endian(buffer, at, 1 << (byte - _STR_8), end)
        at += 1 << (byte - _STR_8)
    elif _ARRAY_16 <= byte <= _ARRAY_32:
        size = _big_endian(buffer, at, 2 << (byte - _ARRAY_16), end)
        return LIST_OF, NOT_FAST if size < 0 else at + (2 << (byte - _ARRAY_16)), size
    elif _MAP_16 <= byte <= _MAP_32:
        size = _big_endian(buffer, at, 2 << (byte - _MAP_16), end)
        return MAP_OF, NOT_FAST if size < 0 else at + (2 << (byte - _MAP_16)), size
    elif _BIN_8 <= byte <= _BIN_32:
        size = _big_endian(buffer, at, 1 << (byte - _BIN_8), end)
        at += 1 << (byte - _BIN_8)
    elif byte not in (NIL, _FALSE, _TRUE):
        return OTHER, NOT_FAST, 0
    if size < 0 or at + size > end:
        return OTHER, NOT_FAST, 0
    return kind, at, size


@compiled_together
def _big_endian(buffer: Bytes, at: int, size: int, end: int) -> int:
    """Return the number in some bytes, -1 if the text ends in them."""
    if at + size > end:
        return -1
    number = np.uint64(0)
    for i in range(size):
        number = (number << np.uint64(8)) | np.uint64(buffer[at + i])
    return int(np.int64(number))


@compiled_together
def _read_number(buffer: Bytes, at: int) -> float:
    """Return the number whose first byte is here; `read_head` has found that all of it is."""
    byte = int(buffer[at])
    if byte < _FIXMAP:
        return float(byte)
    if byte >= _NEGATIVE:
        return float(byte - 256)
    size = 1 << ((byte - _UINT_8) & 3)
    if byte == _FLOAT_64:
        size = 8
    elif byte == _FLOAT_32:
        size = 4
    bits = np.uint64(0)
    for i in range(size):
        bits = (bits << np.uint64(8)) | np.uint64(buffer[at + 1 + i])
    if byte == _FLOAT_64:
        return float(np.uint64(bits).view(np.float64))
    if byte == _FLOAT_32:
        return float(np.uint32(bits).view(np.float32))
    if byte <= _UINT_64:
        return float(bits)
    unused = np.uint64(64 - 8 * size)
    return float(np.int64(bits << unused) >> np.int64(unused))


@compiled_together
def skip_packed(buffer: Bytes, at: int, end: int) -> int:
    """Return the index after a value that the profile does not name."""
    values = 1
    while values > 0:
        kind, at, size = read_head(buffer, at, end)
        if at == NOT_FAST:
            return NOT_FAST
        values -= 1
        if kind == MAP_OF:
            values += 2 * size
        elif kind == LIST_OF:
            values += size
        else:
            at += size
            if at > end:
                return NOT_FAST
    return at


@compiled_inline
def read_packed_value(
    buffer: Bytes, at: int, end: int, tree: Tree, node: int, cells: Cells, row: int
) -> int:
    """Read a number or a text into the cell of a node; returns the index after it."""
    kind, at, size = read_head(buffer, at, end)
    if at == NOT_FAST:
        return NOT_FAST
    if kind == NUMBER and tree.nodes[node, KIND] == _NUMBER:
        cells.values[row, tree.nodes[node, SLOT]] = _read_number(buffer, at)
    elif kind != TEXT or not read_text(buffer, at, at + size, tree, node, cells, row):
        return NOT_FAST
    return at + size


@compiled_inline
def read_packed_numbers(
    buffer: Bytes, at: int, end: int, tree: Tree, node: int, cells: Cells, row: int
) -> int:
    """Read a list of exactly as many numbers as the node has children."""
    kind, at, size = read_head(buffer, at, end)
    if kind != LIST_OF:
        return NOT_FAST
    child = tree.nodes[node, CHILD]
    while child >= 0 and at != NOT_FAST and size > 0:
        kind, at, length = read_head(buffer, at, end)
        if at == NOT_FAST or kind != NUMBER:
            return NOT_FAST
        cells.values[row, tree.nodes[child, SLOT]] = _read_number(buffer, at)
        at += length
        size -= 1
        child = tree.nodes[child, NEXT]
    return at if child < 0 and size == 0 else NOT_FAST
