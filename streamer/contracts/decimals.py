"""Compiled reader of decimal numbers: the nearest double, with the same bits as `float`.

The method is Eisel and Lemire's ("Number Parsing at a Gigabyte per Second", 2021): the decimal
significand times a 128-bit power of five decides the rounding of all but very few numbers.
"""

import numpy as np

from streamer.arrays import Bytes, Words
from streamer.compiled import compiled_inline, compiled_together

NOT_FAST = -1
"""Returned instead of an end: the value is malformed, or only the general decoder can read it."""

_LARGEST_POWER = 64
_MOST_DIGITS = 19
_LONGEST_EXPONENT = 4
_MINUS, _PLUS, _POINT, _ZERO, _NINE = (ord(sign) for sign in "-+.09")
_EXPONENTS = (ord("e"), ord("E"))


def _powers_of_five() -> Words:
    """Return the upper 128 bits of 5**q for q from -64 to 64, (129, 2), high word first."""
    powers = []
    for q in range(-_LARGEST_POWER, _LARGEST_POWER + 1):
        if q >= 0:
            power = 5**q << 128
            bits = power >> (power.bit_length() - 128)
        else:
            divisor = 5**-q
            bits = (1 << (divisor.bit_length() + 256)) // divisor
            # Rounded up where the product may have to show that it is exact.
            bits = (bits >> (bits.bit_length() - 128)) + (q >= -27)
        powers.append([bits >> 64, bits & 0xFFFF_FFFF_FFFF_FFFF])
    return np.array(powers, np.uint64)


POWERS = _powers_of_five()

# Powers of ten that a double holds exactly; so is the quotient or product of two exact doubles.
EXACT_POWERS = 10.0 ** np.arange(23)
_LARGEST_EXACT = np.uint64(1 << 53)

_U0, _U1, _U3, _U8, _U9, _U10, _U32 = (np.uint64(n) for n in (0, 1, 3, 8, 9, 10, 32))
_U100_000_000 = np.uint64(100_000_000)
_LOW = np.uint64(0xFFFF_FFFF)
_TOP_BYTE = np.uint64(1 << 56)
_TOP_BIT = np.uint64(1 << 63)
_UNSETTLED = np.uint64(0x1FF)
_HIDDEN_BIT = np.uint64(1 << 52)

_SHORT = 10
"""Bytes that a short number may take: a digit, a point and eight more bytes."""
_ZEROS, _TOP_BITS, _SIX_TOO_MANY = (
    np.uint64(int.from_bytes(bytes([byte] * 8))) for byte in (_ZERO, 0x80, 0x80 - 10)
)
_WORD = 8
_PLACE_OF_BYTE = np.uint64(0x0001_0203_0405_0607)
"""This number times 256**i has i in its highest byte."""
_TENS = np.uint64(10) ** np.arange(_WORD, dtype=np.uint64)
_PAIRS, _FOURS = np.uint64(0x00FF_00FF_00FF_00FF), np.uint64(0x0000_FFFF_0000_FFFF)


@compiled_inline
def read_number(buffer: Bytes, at: int, end: int, powers: Words) -> tuple[int, float]:
    """Read one JSON number.

    Args:
        buffer: the text.
        at: index of the first byte of the number.
        end: index after the last byte of the text.
        powers: `POWERS`.

    Returns:
        The index after the number, or `NOT_FAST`; and the number.
    """
    negative = at < end and buffer[at] == _MINUS
    begin = at + negative
    after, number = _read_short(buffer, begin, end)
    if after != NOT_FAST:
        return after, -number if negative else number
    return _read_long(buffer, begin, end, negative, powers)


@compiled_together
def _read_long(
    buffer: Bytes, begin: int, end: int, negative: bool, powers: Words
) -> tuple[int, float]:
    """Read a number in any form, from behind its sign."""
    at, significand, digits = _digits(buffer, begin, end, _U0, 0)
    if at == begin or (buffer[begin] == _ZERO and at > begin + 1):
        return NOT_FAST, 0.0
    whole, power = at, 0
    if at < end and buffer[at] == _POINT:
        at, significand, digits = _digits(buffer, whole + 1, end, significand, digits)
        power = whole + 1 - at
        if power == 0:
            return NOT_FAST, 0.0
    if at < end and (buffer[at] == _EXPONENTS[0] or buffer[at] == _EXPONENTS[1]):
        at, exponent = _exponent(buffer, at + 1, end)
        power += exponent
    if at == NOT_FAST or digits > _MOST_DIGITS or abs(power) > _LARGEST_POWER:
        return NOT_FAST, 0.0
    number = _nearest(significand, power, powers)
    # The integer -0 is 0; only a float has a sign there.
    return at, -number if negative and (at > whole or significand > _U0) else number


@compiled_inline
def _read_short(buffer: Bytes, at: int, end: int) -> tuple[int, float]:
    """Read a digit, a point and up to seven digits, the usual form of sensors, without a loop.

    Returns the index after the number, or `NOT_FAST` for any other form; and the number.
    """
    if end - at < _SHORT or buffer[at + 1] != _POINT:
        return NOT_FAST, 0.0
    whole = np.uint64(buffer[at]) - np.uint64(_ZERO)
    digits = little_endian(buffer, at + 2, _WORD) ^ _ZEROS
    # The top bit of each byte that is not a digit, and the bits below the lowest of these.
    others = (digits | (digits + _SIX_TOO_MANY)) & _TOP_BITS
    lowest = (others & (~others + _U1)) >> np.uint64(7)
    count = (lowest * _PLACE_OF_BYTE) >> np.uint64(56)
    after = buffer[at + 2 + np.int64(count)]
    if whole > _U9 or lowest <= _U1 or after == _EXPONENTS[0] or after == _EXPONENTS[1]:
        return NOT_FAST, 0.0
    digits = (digits & (lowest - _U1)) << (np.uint64(64) - _U8 * count)
    fraction = _join_digits(digits)
    power = EXACT_POWERS[np.int64(count)]
    return int(at + 2 + np.int64(count)), float((whole * power + fraction) / power)


@compiled_together
def _join_digits(digits: np.uint64) -> np.uint64:
    """Return the number of eight digits, the first one in the lowest byte."""
    # Join neighbours: digits to pairs, pairs to fours, fours to eight.
    digits = (digits * _U10 + (digits >> _U8)) & _PAIRS
    digits = (digits * np.uint64(100) + (digits >> np.uint64(16))) & _FOURS
    return (digits * np.uint64(10_000) + (digits >> _U32)) & _LOW


@compiled_together
def little_endian(buffer: Bytes, at: int, size: int) -> np.uint64:
    """Return the bytes from ``at`` on as a number, the first byte lowest."""
    place = np.uint64(at)
    number = _U0
    for i in range(size):
        number |= np.uint64(buffer[place + np.uint64(i)]) << np.uint64(8 * i)
    return number


@compiled_together
def _digits(
    buffer: Bytes, at: int, end: int, significand: np.uint64, digits: int
) -> tuple[int, np.uint64, int]:
    """Append digits to a significand; returns their end, it, and its number of digits."""
    # Zeros that lead are no digits.
    while at < end and significand == _U0 and buffer[at] == _ZERO:
        at += 1
    # Eight at once, as in `_read_short`, then up to seven.
    while end - at >= _WORD:
        eight = little_endian(buffer, at, _WORD) ^ _ZEROS
        others = (eight | (eight + _SIX_TOO_MANY)) & _TOP_BITS
        if others:
            lowest = (others & (~others + _U1)) >> np.uint64(7)
            if lowest == _U1:
                return at, significand, digits
            count = np.int64((lowest * _PLACE_OF_BYTE) >> np.uint64(56))
            first = (eight & (lowest - _U1)) << np.uint64(64 - 8 * count)
            joined = significand * _TENS[count] + _join_digits(first)
            return int(at + count), joined, int(digits + count)
        significand = significand * _U100_000_000 + _join_digits(eight)
        digits += _WORD
        at += _WORD
    while at < end and _ZERO <= buffer[at] <= _NINE:
        significand = significand * _U10 + np.uint64(buffer[at] - _ZERO)
        digits += 1
        at += 1
    return at, significand, digits


@compiled_together
def _exponent(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """Read the part after the e; returns the index after it, or `NOT_FAST`, and its value."""
    negative = at < end and buffer[at] == _MINUS
    begin = at + (at < end and (buffer[at] == _MINUS or buffer[at] == _PLUS))
    at, exponent, _ = _digits(buffer, begin, min(end, begin + _LONGEST_EXPONENT), _U0, 0)
    if at in (begin, begin + _LONGEST_EXPONENT):
        return NOT_FAST, 0
    value = int(np.int64(exponent))
    return at, -value if negative else value


@compiled_together
def _nearest(significand: np.uint64, power: int, powers: Words) -> float:
    """Return the double nearest to significand * 10**power."""
    if power == 0:
        return float(significand)
    if significand <= _LARGEST_EXACT and abs(power) < len(EXACT_POWERS):
        number = float(significand)
        exact = EXACT_POWERS[abs(power)]
        return float(number / exact if power < 0 else number * exact)
    if significand == _U0:
        return 0.0
    return _nearest_by_product(significand, power, powers)


@compiled_together
def _nearest_by_product(significand: np.uint64, power: int, powers: Words) -> float:
    """Return the same by the method of Eisel and Lemire, for a significand above 0.

    With the powers in the table the result is a normal number.
    """
    shift = 0
    while significand < _TOP_BYTE:
        significand <<= _U8
        shift += 8
    while significand < _TOP_BIT:
        significand <<= _U1
        shift += 1
    row = power + _LARGEST_POWER
    high, low = product(significand, powers[row, 0])
    if (high & _UNSETTLED) == _UNSETTLED:
        more, _ = product(significand, powers[row, 1])
        low += more
        if more > low:
            high += _U1
    upper = high >> np.uint64(63)
    mantissa = high >> (upper + _U9)
    exponent = ((152170 + 65536) * power >> 16) + 63 + np.int64(upper) - shift + 1023
    halfway = low <= _U1 and -4 <= power <= 23 and (mantissa & _U3) == _U1
    if halfway and (mantissa << (upper + _U9)) == high:
        mantissa &= ~_U1
    mantissa = (mantissa + (mantissa & _U1)) >> _U1
    if mantissa == _HIDDEN_BIT << _U1:
        mantissa = _HIDDEN_BIT
        exponent += 1
    bits = (mantissa & ~_HIDDEN_BIT) | (np.uint64(exponent) << np.uint64(52))
    return float(np.uint64(bits).view(np.float64))


@compiled_together
def product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the 128 bits of a * b, high word first."""
    a_high, a_low = a >> _U32, a & _LOW
    b_high, b_low = b >> _U32, b & _LOW
    low = a_low * b_low
    middle = a_high * b_low + (low >> _U32)
    other = a_low * b_high + (middle & _LOW)
    return a_high * b_high + (middle >> _U32) + (other >> _U32), (other << _U32) | (low & _LOW)
