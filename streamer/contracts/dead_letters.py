"""Dead letters: rejected records, unchanged, with headers that say where they were and why.

A dead letter has the key, the value and the headers of the record, and then the headers below. A
window that the prediction endpoint refused is a dead letter too; its value is a `WindowLetter`.
"""

import msgspec

from streamer.contracts.readings import CONTENT_TYPE, Record
from streamer.contracts.records import OneRecord
from streamer.errors import UNDECODABLE, DataError
from streamer.features import NAMES

ORIGIN_TOPIC = "streamer-origin-topic"
ORIGIN_PARTITION = "streamer-origin-partition"
"""Decimal digits."""
ORIGIN_OFFSET = "streamer-origin-offset"
"""Decimal digits."""
REASON = "streamer-reason"
"""One word, for programs: a `RejectReason`, `late`, `refused` or `skipped`."""
DETAIL = "streamer-detail"
"""For people."""

CUT = "streamer-cut"
"""Decimal digits: size in bytes of a record that was too large to be kept. Of its value there is
only the beginning, of its headers nothing."""

LOST = "streamer-lost"
"""FIRST-LAST, decimal digits: the offsets of records that a damaged batch held. The letter has
neither a key nor a value, because they cannot be read."""

REFUSED = "refused"
"""Reason of a letter that holds a window: the prediction endpoint refused it."""

SKIPPED = "skipped"
"""Reason of a letter for a record on which our own code fails, or for a damaged batch: an operator
has told the workers to skip it."""

WINDOW = "application/x-streamer-window+json"
"""Content type of a letter that holds a window."""


class WindowLetter(msgspec.Struct, frozen=True):
    """A window that the prediction endpoint refused: all that its event needs but the scores."""

    window_id: str
    device_id: str
    features: list[float]
    """On the published scale."""
    window_start: int
    """Nominal start, milliseconds since the epoch."""
    coverage: float
    settled: bool


def make_window_letter(letter: WindowLetter, offset: int) -> Record:
    """Return the record of a refused window; ``offset`` is the last record before it closed."""
    headers = [(CONTENT_TYPE, WINDOW.encode())]
    return OneRecord(letter.device_id.encode(), msgspec.json.encode(letter), headers, 0, offset)


def decode_window_letter(value: bytes | None) -> WindowLetter:
    """Read the value of a letter that holds a window.

    Raises:
        DataError: the value is something else, of an older version that lacks a field, or has
            other features.
    """
    try:
        letter = _window_decoder.decode(value or b"")
    except UNDECODABLE as error:
        raise DataError(f"not a refused window: {error}") from None
    if len(letter.features) != len(NAMES):
        raise DataError(f"a window with {len(letter.features)} features, not {len(NAMES)}")
    return letter


_window_decoder = msgspec.json.Decoder(WindowLetter)


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
