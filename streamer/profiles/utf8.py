"""Compiled: finds out whether bytes are UTF-8."""

import numpy as np

from streamer.arrays import Bytes
from streamer.compiled import compiled_together
from streamer.contracts.decimals import little_endian

_WORD = 8
_NOT_ASCII = np.uint64(0x8080_8080_8080_8080)


@compiled_together
def is_utf8(  # noqa: C901 - a case for each kind of first byte
    buffer: Bytes, at: int, end: int
) -> bool:
    """Return whether bytes are UTF-8, as Python decodes it: no surrogates, no longer forms."""
    while at < end:
        if end - at >= _WORD and not little_endian(buffer, at, _WORD) & _NOT_ASCII:
            at += _WORD
            continue
        lead = int(buffer[at])
        at += 1
        if lead < 0x80:
            continue
        # Bytes that follow, and the smallest and the largest that the first of them may be.
        low, high = 0x80, 0xBF
        if 0xC2 <= lead <= 0xDF:
            more = 1
        elif 0xE0 <= lead <= 0xEF:
            more = 2
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
        elif 0xF0 <= lead <= 0xF4:
            more = 3
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        else:
            return False
        if end - at < more:
            return False
        for _ in range(more):
            if not low <= buffer[at] <= high:
                return False
            low, high = 0x80, 0xBF
            at += 1
    return True
