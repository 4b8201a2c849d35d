"""Numbers in zigzag encoding: in Kafka's headers, and before a message of Protobuf.

The compiled reader of record batches has its own, `kafka/record_batches.py:varint`.
"""

_BITS = 70
"""A number of 64 bits has ten bytes at most."""


def read_zigzag(encoded: bytes, at: int) -> tuple[int, int]:
    """Return the number at an index, and the index after it.

    Raises:
        IndexError: it does not end.
    """
    raw = shift = 0
    while shift < _BITS:
        byte = encoded[at]
        at += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (raw >> 1) ^ -(raw & 1), at
        shift += 7
    raise IndexError("a number has more than ten bytes")


def write_zigzag(number: int) -> bytes:
    """Return the bytes of a number."""
    raw = number << 1 if number >= 0 else (-number << 1) - 1
    encoded = bytearray()
    while raw > 0x7F:
        encoded.append(raw & 0x7F | 0x80)
        raw >>= 7
    encoded.append(raw)
    return bytes(encoded)
