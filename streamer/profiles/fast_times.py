"""Compiled reader of times in ISO 8601: the same microseconds as `timestamps.parse_iso8601`.

It reads the usual forms from 1970 on: a date, `T` or a space, hours, minutes and seconds, up to
nine digits of a fraction, and a zone as `Z`, `+01:00` or `+0100`, also after spaces.
"""

from streamer.arrays import Bytes
from streamer.compiled import compiled_together

_ZERO, _NINE, _MINUS, _PLUS, _COLON, _POINT, _SPACE = (ord(sign) for sign in "09-+:. ")
_T, _Z = ord("T"), ord("Z")
_DATE_AND_TIME = len("2025-11-23T14:00:00")
_LONGEST_FRACTION = 9
_MICROSECONDS = 6


@compiled_together
def read_iso8601(buffer: Bytes, at: int, end: int) -> tuple[bool, int]:
    """Return whether the text is such a time, and its microseconds since 1970."""
    if end - at < _DATE_AND_TIME:
        return False, 0
    between = buffer[at + 10]
    if (
        buffer[at + 4] != _MINUS
        or buffer[at + 7] != _MINUS
        or (between != _T and between != _SPACE)
        or buffer[at + 13] != _COLON
        or buffer[at + 16] != _COLON
    ):
        return False, 0
    century, of_century = _pair(buffer, at), _pair(buffer, at + 2)
    month, day = _pair(buffer, at + 5), _pair(buffer, at + 8)
    hour, minute, second = _pair(buffer, at + 11), _pair(buffer, at + 14), _pair(buffer, at + 17)
    if min(century, of_century, month, day, hour, minute, second) < 0:
        return False, 0
    year = century * 100 + of_century
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= _days(year, month):
        return False, 0
    if hour > 23 or minute > 59 or second > 59:
        return False, 0
    at, fraction_us = _fraction(buffer, at + _DATE_AND_TIME, end)
    known, offset_minutes = _offset(buffer, at, end)
    if fraction_us < 0 or not known:
        return False, 0
    minutes = (_days_since_1970(year, month, day) * 24 + hour) * 60 + minute - offset_minutes
    return True, (minutes * 60 + second) * 1_000_000 + fraction_us


@compiled_together
def _pair(buffer: Bytes, at: int) -> int:
    """Return the number of two digits, -1 if one of them is none."""
    tens, ones = buffer[at], buffer[at + 1]
    if not (_ZERO <= tens <= _NINE and _ZERO <= ones <= _NINE):
        return -1
    return (int(tens) - _ZERO) * 10 + int(ones) - _ZERO


@compiled_together
def _fraction(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """Read a point and digits, if they are here; returns their end, and microseconds or -1."""
    if at >= end or buffer[at] != _POINT:
        return at, 0
    begin, fraction_us = at + 1, 0
    at = begin
    while at < end and _ZERO <= buffer[at] <= _NINE:
        if at - begin < _MICROSECONDS:
            fraction_us = fraction_us * 10 + int(buffer[at]) - _ZERO
        at += 1
    digits = at - begin
    if not 1 <= digits <= _LONGEST_FRACTION:
        return at, -1
    for _ in range(digits, _MICROSECONDS):
        fraction_us *= 10
    return at, fraction_us


@compiled_together
def _offset(buffer: Bytes, at: int, end: int) -> tuple[bool, int]:
    """Return whether the rest of the text is a zone or nothing, and minutes ahead of UTC."""
    while at < end and buffer[at] == _SPACE:
        at += 1
    left = end - at
    if left == 0 or (left == 1 and buffer[at] == _Z):
        return True, 0
    has_colon = left == len("+01:00") and buffer[at + 3] == _COLON
    if (left != len("+0100") and not has_colon) or buffer[at] not in (_PLUS, _MINUS):
        return False, 0
    hours, minutes = _pair(buffer, at + 1), _pair(buffer, end - 2)
    if not (0 <= hours <= 23 and 0 <= minutes <= 59):
        return False, 0
    ahead = hours * 60 + minutes
    return True, ahead if buffer[at] == _PLUS else -ahead


@compiled_together
def _days(year: int, month: int) -> int:
    """Return the days of a month."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@compiled_together
def _days_since_1970(year: int, month: int, day: int) -> int:
    """Return the number of a day. A year begins in March here, so a leap day is its last one."""
    if month <= 2:
        year -= 1
        month += 12
    before = year * 365 + year // 4 - year // 100 + year // 400
    return before + (153 * (month - 3) + 2) // 5 + day - 719469
