"""Unpacks compressed record batches piece by piece, whatever size they unpack to.

A batch of 33 kB may hold a gigabyte. So nothing here unpacks a batch in one go: every codec of
Kafka is a stream that is asked for so many bytes.
"""

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from typing import ClassVar, Final, Protocol

import cramjam
import lz4.frame
import zstandard

from streamer.kafka.aiokafka_internals import WholeBatch

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
"""Numbers of the codecs in Kafka's protocol."""


class MalformedError(Exception):
    """Bytes of a record batch are not what they should be."""


FAILURES: Final = (
    MalformedError,
    cramjam.DecompressionError,
    zstandard.ZstdError,
    zlib.error,
    OSError,
    EOFError,
    RuntimeError,  # of lz4
    struct.error,
)
"""What is raised, by the libraries too, for bytes that are not what they should be."""

_XERIAL: Final = b"\x82SNAPPY\0"
_XERIAL_HEADER_BYTES: Final = 16
_LARGEST_SNAPPY_RATIO: Final = 64
"""The format allows no more than about 22."""


class Stream(Protocol):
    """Unpacked bytes, one after the other."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill a buffer from its beginning; return how many bytes there were, 0 at the end."""


def open_stream(batch: WholeBatch) -> Stream:
    """Return the unpacked records of a batch.

    Raises:
        MalformedError: Kafka's protocol has no such codec.
    """
    payload = batch.payload
    match batch.compression_type:
        case 0:
            return io.BytesIO(payload)
        case 1:
            return gzip.GzipFile(fileobj=io.BytesIO(payload))
        case 2:
            return _Pieces(_snappy_pieces(payload))
        case 3:
            return _Lz4Stream(payload)
        case 4:
            return _ZstdStream(payload)
    raise MalformedError(f"its codec {batch.compression_type} is unknown")


class _ZstdStream:
    _idle: ClassVar[list[zstandard.ZstdDecompressor]] = []
    """Decompressors to be used again: making one takes longer than unpacking a usual batch."""

    def __init__(self, payload: memoryview) -> None:
        self._decompressor = self._idle.pop() if self._idle else zstandard.ZstdDecompressor()
        self._stream = self._decompressor.stream_reader(payload, read_across_frames=True)
        self._ended = False

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer."""
        size = 0 if self._ended else self._stream.readinto(buffer)
        if not size and not self._ended:
            self._ended = True
            self._idle.append(self._decompressor)
        return size


class _Lz4Stream:
    def __init__(self, payload: memoryview) -> None:
        self._frame = lz4.frame.LZ4FrameDecompressor()
        self._rest = bytes(payload)

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer."""
        if self._frame.eof:
            return 0
        piece = self._frame.decompress(self._rest, max_length=len(buffer))
        self._rest = b""
        if not piece and not self._frame.eof:
            raise EOFError("the frame is cut off")
        buffer[: len(piece)] = piece
        return len(piece)


class _Pieces:
    """A stream of pieces that are unpacked when they are needed."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _snappy_pieces(payload: memoryview) -> Iterator[bytes]:
    """Unpack the blocks of the framing that Java's clients use, or a single bare block."""
    if bytes(payload[: len(_XERIAL)]) != _XERIAL:
        yield _snappy(payload)
        return
    at = _XERIAL_HEADER_BYTES
    while at < len(payload):
        (size,) = struct.unpack_from("!i", payload, at)
        at += 4
        yield _snappy(payload[at : at + size])
        at += size


def _snappy(block: memoryview) -> bytes:
    # The size is what the block says of itself, and is allocated before anything is unpacked.
    if cramjam.snappy.decompress_raw_len(block) > _LARGEST_SNAPPY_RATIO * len(block):
        raise MalformedError("a block of snappy is smaller than it says")
    return bytes(cramjam.snappy.decompress_raw(block))
