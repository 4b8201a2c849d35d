"""Dead letters: rejected records, unchanged, with headers that say where they were and why.

A dead letter has the key, the value and the headers of the record, and then the headers below. A
window that the prediction endpoint refused is a dead letter too; its value is a `WindowLetter`.
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

CUT = "streamer-cut"
"""Decimal digits: size in bytes of a record that was too large to be kept. Of its value there is
only the beginning, of its headers nothing."""

REFUSED = "refused"
"""Reason of a letter that holds a window: the prediction endpoint refused it."""

WINDOW = "application/x-streamer-window+json"
"""Content type of a letter that holds a window."""


class WindowLetter(msgspec.Struct, frozen=True):
    """A window that the prediction endpoint refused, with the features that it received."""

    window_id: str
    device_id: str
    features: list[float]
    """On the published scale."""


def make_window_letter(device_id: str, start_ms: int, features: list[float], offset: int) -> Record:
    """Return the record of a refused window; ``offset`` is the last record before it closed."""
    letter = WindowLetter(window_id(device_id, start_ms), device_id, features)
    headers = [(CONTENT_TYPE, WINDOW.encode())]
    return OneRecord(device_id.encode(), msgspec.json.encode(letter), headers, 0, offset)


def make_dead_letter_headers(
    record: Record, topic: str, partition: int, reason: str, detail: str
) -> list[tuple[str, bytes | None]]:
    """Return the headers of the dead letter for a record of this topic and partition.

    A record that was a dead letter before keeps its old headers too. If a name occurs twice, the
    last one counts.
    """
    return [
        *record.headers,
        (ORIGIN_TOPIC, topic.encode()),
        (ORIGIN_PARTITION, str(partition).encode()),
        (ORIGIN_OFFSET, str(record.offset).encode()),
        (REASON, reason.encode()),
        (DETAIL, detail.encode()),
    ]
