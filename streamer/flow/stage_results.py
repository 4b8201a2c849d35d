"""What the stages of the flow hand to each other, and the dead letters that they make."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from streamer.arrays import Floats
from streamer.contracts.dead_letters import LOST, REFUSED, SKIPPED, WindowLetter, make_window_letter
from streamer.contracts.events import ActivityEvent, window_id
from streamer.contracts.readings import Decoded, Record
from streamer.contracts.records import Records
from streamer.flow.label_delays import LabelDelays
from streamer.labels.segments import SegmentChanges
from streamer.predict.answers import Answers
from streamer.stream.partition import PushResult
from streamer.stream.position import Position
from streamer.stream.windows import Window

if TYPE_CHECKING:
    from streamer.storage.window_files import StoredWindows


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that was rejected, whole or in part, with the reason."""

    record: Record
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Output:
    """The output of a fetch, and the position after it."""

    events: list[ActivityEvent]
    segments: SegmentChanges
    """What the events change."""
    dead_letters: list[DeadLetter]
    position: Position
    oldest_ms: int
    """Kafka timestamp of the fetch's first record."""
    delays: LabelDelays = field(default_factory=LabelDelays)
    closed: "StoredWindows | None" = None
    """The windows that were closed, with their features; None if they are not stored."""


@dataclass(frozen=True, slots=True)
class Computed:
    """The output of a fetch whose windows are not yet predicted."""

    windows: list[Window]
    features: Floats
    """Of the windows, (n, features) of the feature set; NaN where the device has no such sensor."""
    forgotten: list[str]
    """Devices that are gone after these windows."""
    ended: list[str]
    """Devices whose next window does not follow their last one here."""
    dead_letters: list[DeadLetter]
    position: Position
    oldest_ms: int
    delays: LabelDelays = field(default_factory=LabelDelays)


@dataclass(frozen=True, slots=True)
class Predicted:
    """A computed fetch with its predictions."""

    computed: Computed
    answers: Answers


def make_late_letters(records: Records, decoded: Decoded, outcome: PushResult) -> list[DeadLetter]:
    """Return the dead letters of the records that had late samples."""
    record, samples = np.unique(decoded.record[outcome.late], return_counts=True)
    return [
        DeadLetter(records[i], "late", f"{n} of its samples came behind the watermark")
        for i, n in zip(record.tolist(), samples.tolist(), strict=True)
    ]


def make_skipped_letter(record: Record) -> DeadLetter:
    """Return the dead letter of a record, or of a damaged batch, that an operator has skipped."""
    lost = dict(record.headers).get(LOST)
    what = f"the records {lost.decode(errors='replace')} of a damaged batch" if lost else "it"
    return DeadLetter(record, SKIPPED, f"an operator has told the workers to skip {what}")


def make_refused_letter(computed: Computed, row: int, words: str) -> DeadLetter:
    """Return the dead letter of a window that the endpoint rejects."""
    window = computed.windows[row]
    letter = WindowLetter(
        window_id(window.device_id, window.start_ms),
        window.device_id,
        computed.features[row].tolist(),
        window.start_ms,
        window.coverage,
        window.settled,
    )
    return DeadLetter(make_window_letter(letter, computed.position.next - 1), REFUSED, words)
