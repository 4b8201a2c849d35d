"""Ground truth: what a device really did in a stretch of time, as somebody says.

`schemas/activity-label.schema.json` is the contract.
"""

import difflib
from collections.abc import Collection
from typing import Final

import msgspec

from streamer.contracts.readings import LONGEST_DEVICE_ID
from streamer.errors import UNDECODABLE, DataError

LONGEST_MS: Final = 24 * 3600 * 1000
"""Longest stretch of a label. A longer one is mostly a mistake in the unit of a time."""
SKEW_MS: Final = 60_000
"""How far the end of a label may be ahead of our clock: the clocks of devices differ."""
LONGEST_AUTHOR: Final = 255


class ActivityLabel(msgspec.Struct, frozen=True, kw_only=True):
    """What a device did. Where labels of a device overlap, the one that was published last counts.

    The times are those of the device: they compare with `window_start` of its events.
    """

    device_id: str
    start: int
    """Milliseconds since the epoch."""
    end: int
    """Exclusive, milliseconds since the epoch."""
    activity: str
    by: str
    """Who says so: a person or a program."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ActivityLabel)


def encode_label(label: ActivityLabel) -> bytes:
    """Return a label as JSON. Equal labels give equal bytes."""
    return _encoder.encode(label)


def decode_label(value: bytes) -> ActivityLabel:
    """Return the label that a value holds; unknown fields are ignored.

    Raises:
        DataError: the value is not a label.
    """
    try:
        return _decoder.decode(value)
    except UNDECODABLE as error:
        raise DataError(f"not an activity label: {error}") from None


def check_label(label: ActivityLabel, activities: Collection[str], now_ms: int) -> ActivityLabel:
    """Return a label unchanged if it can be true.

    Args:
        label: the label.
        activities: those that labels may name.
        now_ms: the present time, milliseconds since the epoch.

    Raises:
        DataError: it cannot be true; the message says why and what to do.
    """
    try:
        device_bytes = len(label.device_id.encode())
        label.by.encode()
    except UnicodeEncodeError:
        raise DataError("the device id and `by`, who says so, must be text in UTF-8") from None
    if not 1 <= device_bytes <= LONGEST_DEVICE_ID:
        raise DataError(f"the device id must have 1 to {LONGEST_DEVICE_ID} bytes")
    if not 1 <= len(label.by) <= LONGEST_AUTHOR:
        raise DataError(f"`by`, who says so, must have 1 to {LONGEST_AUTHOR} characters")
    if label.activity not in activities:
        close = difflib.get_close_matches(label.activity, activities, n=1)
        meant = f"; is {close[0]} meant?" if close else ""
        raise DataError(
            f"the activity {label.activity!r:.80} is not known{meant} Known are "
            f"{', '.join(activities)}; the setting label_activities names them"
        )
    if label.end <= label.start:
        raise DataError(
            f"the label ends at {label.end} ms, which is not after its start at {label.start} ms"
        )
    if label.start < 0 or label.end - label.start > LONGEST_MS:
        raise DataError(
            f"the label lasts for {(label.end - label.start) / 3_600_000:.1f} hours, and 24 are "
            "allowed; times are milliseconds since the epoch"
        )
    if label.end > now_ms + SKEW_MS:
        raise DataError(
            f"the label ends {(label.end - now_ms) / 1000:.0f} s in the future; times are "
            "milliseconds since the epoch, by the clock of the device"
        )
    return label
