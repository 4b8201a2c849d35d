"""Compares published labels with the true activities of the recordings. Pure functions.

A replay publishes sample i of a recording at ``start_ms + i * interval_ms``. A window counts if it
lies wholly within one labelled activity::

    recording   |--- standing ---|??|---------- walking ----------|
    windows       [======]                  counts
                         [======]           does not count: it overlaps a change
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from streamer.contracts.activities import is_movement
from streamer.datasets.labelled_windows import UNLABELLED, true_activity
from streamer.datasets.recording import Segment


@dataclass(frozen=True, slots=True)
class ReplayedSpan:
    """When the samples of a recording were published as readings."""

    start_ms: float
    samples: int
    interval_ms: float

    @property
    def end_ms(self) -> float:
        """One interval after the last sample."""
        return self.start_ms + self.samples * self.interval_ms


@dataclass(frozen=True, slots=True)
class PublishedLabel:
    """The published label of one window."""

    window_id: str
    device_id: str
    window_start_ms: float
    activity: str
    activity_raw: str | None = None
    """The label of the window alone; None where the event has none."""


@dataclass(slots=True)
class Alignment:
    """Published labels beside the truth, and the numbers of events that could not be judged."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    """(true activity, published label), for each window wholly within one activity."""
    raw_pairs: list[tuple[str, str]] = field(default_factory=list)
    """(true activity, label of the window alone), where events have both."""
    movements: Counter[str] = field(default_factory=Counter)
    """Published labels of the windows that lie at least half within a movement."""
    unlabelled: int = 0
    """Other windows: they overlap a change of activity or have no label."""
    unknown_device: int = 0
    """Events of devices without a replayed and labelled recording."""
    outside_replay: int = 0
    """Events of a replayed device, outside the time of its replays."""
    repeated: int = 0
    """Second and later events of the same window; the first one counts."""


def align_events(
    events: Iterable[PublishedLabel],
    replays: Mapping[str, Sequence[ReplayedSpan]],
    segments: Mapping[str, Sequence[Segment]],
) -> Alignment:
    """Find the true activity of each window.

    A window has 128 samples: the first one at or after its start, and the next 127. If a recording
    was replayed several times, an event belongs to the replay during which its window starts.

    Args:
        events: published labels, in any order.
        replays: by device, not overlapping in time.
        segments: of each device's recording.
    """
    alignment = Alignment()
    seen: set[str] = set()
    for event in events:
        if event.window_id in seen:
            alignment.repeated += 1
            continue
        seen.add(event.window_id)
        if event.device_id not in replays or event.device_id not in segments:
            alignment.unknown_device += 1
            continue
        first = _find_first_sample(event.window_start_ms, replays[event.device_id])
        if first is None:
            alignment.outside_replay += 1
            continue
        true = true_activity(first, segments[event.device_id])
        if true == UNLABELLED:
            alignment.unlabelled += 1
        elif is_movement(true):
            alignment.movements[event.activity] += 1
        else:
            alignment.pairs.append((true, event.activity))
            if event.activity_raw is not None:
                alignment.raw_pairs.append((true, event.activity_raw))
    return alignment


def _find_first_sample(window_start_ms: float, replays: Sequence[ReplayedSpan]) -> int | None:
    """Return the index of the first sample of a window; None if it starts during no replay."""
    for replay in replays:
        # A window that starts less than one step before sample 0 begins with sample 0.
        if replay.start_ms - replay.interval_ms < window_start_ms < replay.end_ms:
            return ceil((window_start_ms - replay.start_ms) / replay.interval_ms)
    return None
