"""Compiled: compares stretches of bytes, and finds the first of several equal ones."""

import numpy as np

from streamer.arrays import Bytes, Ints
from streamer.compiled import compiled_inline, compiled_together
from streamer.contracts.decimals import little_endian

_WORD = 8
_NOTHING, _BYTE = np.uint64(0), np.uint64(8)


@compiled_inline
def has_same_bytes(buffer: Bytes, at: int, other: Bytes, begin: int, length: int) -> bool:
    """Return whether two places have the same bytes; both have so many."""
    if length >= _WORD:
        # The last word may overlap with the one before it.
        last = length - _WORD
        i = 0
        while i < last:
            if little_endian(buffer, at + i, _WORD) != little_endian(other, begin + i, _WORD):
                return False
            i += _WORD
        end = little_endian(buffer, at + last, _WORD) ^ little_endian(other, begin + last, _WORD)
        return bool(end == _NOTHING)
    if at + _WORD <= len(buffer) and begin + _WORD <= len(other):
        unlike = little_endian(buffer, at, _WORD) ^ little_endian(other, begin, _WORD)
        # The bytes behind the stretches are shifted out: one by itself, as none may be left.
        return bool((unlike << np.uint64(8 * (_WORD - 1 - length))) << _BYTE == _NOTHING)
    i = 0
    while i < length and buffer[at + i] == other[begin + i]:
        i += 1
    return i == length


@compiled_together
def find_first_alike(buffer: Bytes, spans: Ints, first: Ints, places: Ints) -> None:
    """Find for each span of bytes the first one with the same bytes.

    Args:
        buffer: the bytes.
        spans: (n, 2) where each begins and ends.
        first: (n,), written; n for a span that ends before it begins.
        places: a power of two of -1, more than n.
    """
    for i in range(len(spans)):
        begin, length = spans[i, 0], spans[i, 1] - spans[i, 0]
        if length < 0:
            first[i] = len(spans)
            continue
        place = np.int64(0)
        for k in range(length):
            place = (place * 31 + buffer[begin + k]) & 0xFFFF_FFFF
        place = (place ^ (place >> 15)) & (len(places) - 1)
        while places[place] >= 0:
            other = places[place]
            if spans[other, 1] - spans[other, 0] == length and has_same_bytes(
                buffer, begin, buffer, spans[other, 0], length
            ):
                break
            place = (place + 1) & (len(places) - 1)
        if places[place] < 0:
            places[place] = i
        first[i] = places[place]
