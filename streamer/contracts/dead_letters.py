"""Dead letters: refused records, exactly as they came, with headers that say where and why.

Key and value of a dead letter are those of the record; its headers come first, ours after them. A
window that the prediction endpoint refused is a dead letter too, its value a `WindowLetter`.
"""

import msgspec

from streamer.contracts.events import window_id
from streamer.contracts.readings import CONTENT_TYPE, Record
from streamer.contracts.records import OneRecord

ORIGIN_TOPIC = "streamer-origin-topic"
ORIGIN_PARTITION = "streamer-origin-partition"
"""Decimal digits."""
ORIGIN_OFFSET = "streamer-origin-offset"
"""Decimal digits."""
REASON = "streamer-reason"
"""One word, for programs: a `RejectReason`, `late`, or `refused`."""
DETAIL = "streamer-detail"
"""For people."""

REFUSED = "refused"
"""Reason of a letter that is a window, not a record: the prediction endpoint does not take it."""

WINDOW = "application/x-streamer-window+json"
"""Content type of such a letter."""


class WindowLetter(msgspec.Struct, frozen=True):
    """A window that the prediction endpoint has refused, as it was asked about it."""

    window_id: str
    device_id: str
    features: list[float]
    """On the published scale."""


def refused_window(device_id: str, start_ms: int, features: list[float], offset: int) -> Record:
    """A refused window as a record; ``offset`` is that of the last record read when it closed."""
    letter = WindowLetter(window_id(device_id, start_ms), device_id, features)
    headers = [(CONTENT_TYPE, WINDOW.encode())]
    return OneRecord(device_id.encode(), msgspec.json.encode(letter), headers, 0, offset)


def dead_letter_headers(
    record: Record, topic: str, partition: int, reason: str, detail: str
) -> list[tuple[str, bytes | None]]:
    """Headers of the dead letter for a record of this topic and partition.

    A record that was a dead letter before keeps its old headers too; of equal names the last
    one counts.
    """
    return [
        *record.headers,
        (ORIGIN_TOPIC, topic.encode()),
        (ORIGIN_PARTITION, str(partition).encode()),
        (ORIGIN_OFFSET, str(record.offset).encode()),
        (REASON, reason.encode()),
        (DETAIL, detail.encode()),
    ]
