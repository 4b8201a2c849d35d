"""Reads the body of a request, and finds the readings in it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec
from aiohttp import web

from streamer.contracts import f32
from streamer.contracts.readings import CONTENT_TYPES, LONGEST_DEVICE_ID, Format
from streamer.errors import UNDECODABLE

_LINES: Final = ("application/x-ndjson", "application/jsonl")
_UNNAMED: Final = (
    "",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "text/plain",
)
"""Content types that clients send when their author has named none."""

_FORMATS: Final = {name.decode(): form for form, name in CONTENT_TYPES.items()}
_ARRAYS: Final = (*range(0x90, 0xA0), 0xDC, 0xDD)
"""First bytes of an array in MessagePack."""

_split_json = msgspec.json.Decoder(list[msgspec.Raw]).decode
_split_msgpack = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class BadRequest(Exception):  # noqa: N818 - it is an answer
    """A request cannot be understood.

    Attributes:
        status: of the HTTP answer.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def check_device_id(device_id: str) -> str:
    """Return the device id of a path or topic.

    Raises:
        BadRequest: it is too long, or not a text.
    """
    try:
        size = len(device_id.encode())
    except UnicodeEncodeError:
        raise BadRequest("the device id in the path is not UTF-8") from None
    if not 1 <= size <= LONGEST_DEVICE_ID:
        raise BadRequest(f"the device id has {size} bytes, not 1 to {LONGEST_DEVICE_ID}")
    return device_id


class ArrivingBodies:
    """The requests whose bodies are arriving now."""

    def __init__(self) -> None:
        self._requests: dict[asyncio.Event, web.Request] = {}

    @contextmanager
    def arriving(self, request: web.Request) -> Iterator[None]:
        """Count a request while the context is open."""
        arrived = asyncio.Event()
        self._requests[arrived] = request
        try:
            yield
        finally:
            del self._requests[arrived]
            arrived.set()

    async def wait(self, patience_s: float) -> None:
        """Wait for the bodies that are arriving now; cut off those that take longer."""
        requests = dict(self._requests)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                for arrived in requests:
                    await arrived.wait()
        for arrived, request in requests.items():
            if not arrived.is_set() and request.transport is not None:
                request.transport.close()


ARRIVING: Final = web.AppKey("arriving", ArrivingBodies)
"""Where an application has those of its requests."""


async def read_body(request: web.Request, timeout_s: float) -> bytes:
    """Return the body, unpacked if it is compressed; its size is limited by the application.

    Raises:
        BadRequest: it is too large when it is unpacked, does not arrive in time, or is damaged.
    """
    too_large = BadRequest(
        f"the body has more than {request.client_max_size} bytes when it is unpacked", 413
    )
    if (request.content_length or 0) > request.client_max_size:
        raise too_large
    try:
        with request.app[ARRIVING].arriving(request):
            async with asyncio.timeout(timeout_s):
                return await request.read()
    except TimeoutError:
        raise BadRequest(f"the body has not arrived within {timeout_s:g} s", 408) from None
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None
    except web.RequestPayloadError as error:
        raise BadRequest(f"the body is cut off or damaged: {error}") from None


def find_format(content_type: str, *, any_other: bool) -> tuple[Format, bool]:
    """Return the format that a content type names, and whether each line is a reading.

    Args:
        content_type: of the request.
        any_other: take a content type that is not known, because a profile says what the format is.

    Raises:
        BadRequest: it names another format.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in _LINES:
        return Format.JSON, True
    if media_type in _UNNAMED or (any_other and media_type not in _FORMATS):
        return Format.JSON, False
    if media_type not in _FORMATS:
        raise BadRequest(
            f"Content-Type {media_type!r:.80} is not known; send one of "
            f"{', '.join([*_FORMATS, _LINES[0]])}",
            415,
        )
    return _FORMATS[media_type], False


def split_lines(body: bytes) -> list[bytes]:
    """Return the readings of a body with one in each line."""
    return [line for line in body.splitlines() if line.strip()]


def split(body: bytes, form: Format) -> list[bytes]:
    """Return the readings of a body in a format of the contract: one, or an array of them.

    Blocks of float32 follow each other.

    Raises:
        BadRequest: an array is not well-formed.
    """
    try:
        if form is Format.JSON and body.lstrip()[:1] == b"[":
            return [bytes(each) for each in _split_json(body)]
        if form is Format.MSGPACK and body[:1] and body[0] in _ARRAYS:
            return [bytes(each) for each in _split_msgpack(body)]
    except UNDECODABLE as error:
        raise BadRequest(f"the array of readings is not well-formed: {error}") from None
    return _split_blocks(body) if form is Format.F32 else [body]


def _split_blocks(body: bytes) -> list[bytes]:
    blocks, begin = [], 0
    while begin < len(body):
        end = begin + f32.block_size(body, begin)
        blocks.append(body[begin:end])
        begin = end
    return blocks or [body]
