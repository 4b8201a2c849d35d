"""Compiled: reads single values of JSON and CSV into cells, and skips what is not wanted."""

import numpy as np

from streamer.arrays import Bytes, Floats, Ints, Words
from streamer.compiled import compiled_together
from streamer.contracts.decimals import NOT_FAST, read_number
from streamer.profiles.paths import Kind
from streamer.profiles.tree import CHILD, CHOICES, CHOICES_END, KIND, NEXT, SLOT

_NUMBER, _CHOICE, _DEVICE = int(Kind.NUMBER), int(Kind.CHOICE), int(Kind.DEVICE)
_QUOTE, _BACKSLASH, _COMMA = (ord(sign) for sign in '"\\,')
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = (ord(sign) for sign in "{}[]")
_U, _L = (ord(letter) for letter in "ul")
_SPACES = tuple(ord(sign) for sign in " \n\r\t")
_ENDS = tuple(ord(sign) for sign in ",}] \n\r\t")


@compiled_together
def read_numbers(
    buffer: Bytes,
    at: int,
    end: int,
    nodes: Ints,
    node: int,
    powers: Words,
    cells: Floats,
    row: int,
) -> int:
    """Read a list of exactly as many numbers as the node has children."""
    if buffer[at] != _OPEN_LIST:
        return NOT_FAST
    child = nodes[node, CHILD]
    while child >= 0:
        at = skip_spaces(buffer, at + 1, end)
        at, cells[row, nodes[child, SLOT]] = read_number(buffer, at, end, powers)
        if at == NOT_FAST:
            return NOT_FAST
        at = skip_spaces(buffer, at, end)
        child = nodes[child, NEXT]
        if at >= end or buffer[at] != (_COMMA if child >= 0 else _CLOSE_LIST):
            return NOT_FAST
    return at + 1


@compiled_together
def read_leaf(
    buffer: Bytes,
    at: int,
    end: int,
    nodes: Ints,
    node: int,
    texts: Bytes,
    choices: Ints,
    powers: Words,
    cells: Floats,
    row: int,
    span: Ints,
) -> int:
    """Read a number or a text of JSON into its cell; returns the index after it."""
    if buffer[at] != _QUOTE:
        if nodes[node, KIND] != _NUMBER:
            return NOT_FAST
        at, cells[row, nodes[node, SLOT]] = read_number(buffer, at, end, powers)
        return at
    begin = at + 1
    at = find_end_of_text(buffer, begin, end)
    if at == NOT_FAST or not read_text(
        buffer, begin, at, nodes, node, texts, choices, powers, cells, row, span
    ):
        return NOT_FAST
    return at + 1


@compiled_together
def read_text(
    buffer: Bytes,
    begin: int,
    end: int,
    nodes: Ints,
    node: int,
    texts: Bytes,
    choices: Ints,
    powers: Words,
    cells: Floats,
    row: int,
    span: Ints,
) -> bool:
    """Read a text into its cell; returns False if only the general reader can."""
    while begin < end and buffer[begin] in _SPACES:
        begin += 1
    while begin < end and buffer[end - 1] in _SPACES:
        end -= 1
    kind = nodes[node, KIND]
    if kind == _DEVICE:
        if span[1] == 0:
            span[0], span[1] = begin, end
        return begin < end
    slot = nodes[node, SLOT]
    if kind == _NUMBER:
        at, cells[row, slot] = read_number(buffer, begin, end, powers)
        return at == end
    if kind != _CHOICE:
        return False
    found = -1
    for choice in range(nodes[node, CHOICES], nodes[node, CHOICES_END]):
        length = choices[choice, 1] - choices[choice, 0]
        if length == end - begin and has_same_bytes(
            buffer, begin, texts, choices[choice, 0], length
        ):
            found = choice - nodes[node, CHOICES]
    cells[row, slot] = found
    return True


@compiled_together
def has_same_bytes(buffer: Bytes, at: int, texts: Bytes, begin: int, length: int) -> bool:
    """Return whether two places have the same bytes."""
    i = 0
    while i < length and buffer[at + i] == texts[begin + i]:
        i += 1
    return i == length


@compiled_together
def find_end_of_text(buffer: Bytes, at: int, end: int) -> int:
    """Return where the closing quote is, `NOT_FAST` for a text with an escape."""
    while at < end and buffer[at] != _QUOTE:
        if buffer[at] == _BACKSLASH:
            return NOT_FAST
        at += 1
    return at if at < end else NOT_FAST


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
            at += 1
            while at < end and buffer[at] != _QUOTE:
                at += 2 if buffer[at] == _BACKSLASH else 1
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


@compiled_together
def skip_spaces(buffer: Bytes, at: int, end: int) -> int:
    """Return the index of the next byte that is not a space."""
    while at < end and buffer[at] in _SPACES:
        at += 1
    return at


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
