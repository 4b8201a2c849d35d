"""Compiled: finds where the tokens of JSON end, eight bytes at a time."""

import numpy as np

from streamer.arrays import Bytes
from streamer.compiled import compiled_together
from streamer.contracts.decimals import NOT_FAST, little_endian

_QUOTE, _BACKSLASH = (ord(sign) for sign in '"\\')
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = (ord(sign) for sign in "{}[]")
_U, _L = (ord(letter) for letter in "ul")
_SPACES = tuple(ord(sign) for sign in " \n\r\t")
_SPACE = ord(" ")
_ENDS = tuple(ord(sign) for sign in ",}] \n\r\t")

_WORD = 8
_ONES, _TOPS, _QUOTES, _BACKSLASHES = (
    np.uint64(int.from_bytes(bytes([byte] * _WORD))) for byte in (1, 0x80, _QUOTE, _BACKSLASH)
)
_PLACE_OF_BYTE = np.uint64(0x0001_0203_0405_0607)
"""This number times 256**i has i in its highest byte."""
_1, _7, _56 = (np.uint64(n) for n in (1, 7, 56))


@compiled_together
def skip_spaces(buffer: Bytes, at: int, end: int) -> int:
    """Return the index of the next byte that is not a space."""
    while at < end and buffer[at] <= _SPACE and buffer[at] in _SPACES:
        at += 1
    return at


@compiled_together
def find_end_of_text(buffer: Bytes, at: int, end: int) -> int:
    """Return where the closing quote is, `NOT_FAST` for a text with an escape."""
    at = find_quote_or_escape(buffer, at, end)
    return at if at < end and buffer[at] == _QUOTE else NOT_FAST


@compiled_together
def find_quote_or_escape(buffer: Bytes, at: int, end: int) -> int:
    """Return where the next quote or backslash is, the end if there is none."""
    while at + _WORD <= end:
        word = little_endian(buffer, at, _WORD)
        quotes, escapes = word ^ _QUOTES, word ^ _BACKSLASHES
        # The lowest top bit that is set belongs to the first such byte.
        found = ((quotes - _ONES) & ~quotes | (escapes - _ONES) & ~escapes) & _TOPS
        if found:
            lowest = (found & (~found + _1)) >> _7
            return int(at + np.int64((lowest * _PLACE_OF_BYTE) >> _56))
        at += _WORD
    while at < end and buffer[at] != _QUOTE and buffer[at] != _BACKSLASH:
        at += 1
    return at


@compiled_together
def skip_null(buffer: Bytes, at: int, end: int) -> int:
    """Return the index after a null."""
    if at + 4 > end or buffer[at + 1] != _U or buffer[at + 2] != _L or buffer[at + 3] != _L:
        return NOT_FAST
    return at + 4


@compiled_together
def skip_value(buffer: Bytes, at: int, end: int) -> int:
    """Return the index after a value that the profile does not name."""
    depth = 0
    while at < end:
        byte = buffer[at]
        if byte == _QUOTE:
            at = find_quote_or_escape(buffer, at + 1, end)
            while at < end and buffer[at] == _BACKSLASH:
                at = find_quote_or_escape(buffer, at + 2, end)
        elif byte in (_OPEN, _OPEN_LIST):
            depth += 1
        elif byte in (_CLOSE, _CLOSE_LIST):
            depth -= 1
        elif depth == 0:
            begin = at
            while at < end and buffer[at] not in _ENDS:
                at += 1
            return at if at > begin else NOT_FAST
        at += 1
        if depth == 0:
            return at if at <= end else NOT_FAST
        if depth < 0:
            return NOT_FAST
    return NOT_FAST
