"""Segments: stretches of time in which a device has one activity, made of successive windows.

A window stands for its first hop, so the segments of a device do not overlap::

    windows   |--- sitting ---|
                      |--- sitting ---|
                              |--- walking ---|
    segments  |--- sitting ---|--- walking --> open

`schemas/activity-segment.schema.json` and `schemas/current-activity.schema.json` are the contracts.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple, Self

import msgspec

from streamer.contracts.events import ActivityEvent, Reason, window_id
from streamer.errors import UNDECODABLE, DataError
from streamer.features.window_shape import WINDOW

SEGMENT_HEADER: Final = "streamer-segment"
"""Header of an event: the segment that is open after its window, see `OpenSegment`."""

HOP_MS: Final = WINDOW.hop_us // 1000

UNITS: Final = 1_000_000
"""Confidences have six decimals; sums of them are whole numbers of millionths."""


class ActivitySegment(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that has ended."""

    segment_id: str
    """Equal to the `window_id` of its first window."""
    device_id: str
    segment_start: int
    """Nominal start of its first window, milliseconds since the epoch."""
    segment_end: int
    """Exclusive: the nominal start of the window after its last one."""
    activity: str
    """The activity of all its events, `unknown` included."""
    reason: Reason | None
    """Why the activity is unknown; None if it is known."""
    confidence: float | None
    """Mean confidence of its events; None if no model answered."""
    windows: int


class CurrentActivity(msgspec.Struct, frozen=True, kw_only=True):
    """The activity that a device has now: its segment that has not ended."""

    device_id: str
    activity: str
    reason: Reason | None
    since: int
    """Nominal start of the first window with this activity, milliseconds since the epoch."""
    confidence: float | None
    """Of this first window."""


class OpenSegment(NamedTuple):
    """What an event says about the segment to which its window belongs.

    Attributes:
        start_ms: nominal start of its first window.
        confidence: sum of the confidences so far in millionths; None if no model answered.
    """

    start_ms: int
    confidence: int | None

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes | None]]) -> Self | None:
        """Return what the headers of an event say; None if they do not say it readably."""
        value = dict(headers).get(SEGMENT_HEADER) or b""
        start_ms, _, total = value.partition(b";")
        try:
            return cls(int(start_ms), int(total) if total else None)
        except ValueError:
            return None


class PublishedEvent(NamedTuple):
    """An event as it is read back, with what its headers say."""

    event: ActivityEvent
    segment: OpenSegment | None


_encoder = msgspec.json.Encoder()
_segment_decoder = msgspec.json.Decoder(ActivitySegment)
_current_decoder = msgspec.json.Decoder(CurrentActivity)


def as_header(start_ms: int, confidence: int | None) -> bytes:
    """Return the value of `SEGMENT_HEADER` that says what `OpenSegment` holds."""
    return b"%d;" % start_ms if confidence is None else b"%d;%d" % (start_ms, confidence)


def make_segment(
    device_id: str, opened: OpenSegment, end_ms: int, activity: str, reason: Reason | None
) -> ActivitySegment:
    """Return a segment that has ended."""
    windows = (end_ms - opened.start_ms) // HOP_MS
    total = opened.confidence
    return ActivitySegment(
        segment_id=window_id(device_id, opened.start_ms),
        device_id=device_id,
        segment_start=opened.start_ms,
        segment_end=end_ms,
        activity=activity,
        reason=reason,
        confidence=None if total is None else round(total / windows) / UNITS,
        windows=windows,
    )


def encode_segment(segment: ActivitySegment) -> bytes:
    """Return a segment as JSON. Equal segments give equal bytes."""
    return _encoder.encode(segment)


def encode_current(activity: CurrentActivity | None) -> bytes | None:
    """Return a current activity as JSON; None, the value that deletes a key, if there is none."""
    return None if activity is None else _encoder.encode(activity)


def decode_segment(value: bytes) -> ActivitySegment:
    """Return the segment that a value holds; unknown fields are ignored.

    Raises:
        DataError: the value is not a segment.
    """
    try:
        return _segment_decoder.decode(value)
    except UNDECODABLE as error:
        raise DataError(f"not an activity segment: {error}") from None


def decode_current(value: bytes) -> CurrentActivity:
    """Return the current activity that a value holds; unknown fields are ignored.

    Raises:
        DataError: the value is not a current activity.
    """
    try:
        return _current_decoder.decode(value)
    except UNDECODABLE as error:
        raise DataError(f"not a current activity: {error}") from None
