"""How well do published labels agree with what people really did? Pure functions.

A replay streams a recording, sample i at ``start_ms + i * interval_ms``. A window of it counts if
it lies wholly within one labelled activity::

    recording   |--- standing ---|??|---------- walking ----------|
    windows       [======]                  counts
                         [======]           does not: it touches a change
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from streamer.contracts.activities import is_movement
from streamer.datasets.labelled_windows import UNLABELLED, true_activity
from streamer.datasets.public_recordings import Segment


@dataclass(frozen=True, slots=True)
class ReplayedSpan:
    """When the samples of a recording were streamed as a device's readings."""

    start_ms: float
    samples: int
    interval_ms: float

    @property
    def end_ms(self) -> float:
        """One interval after the last sample."""
        return self.start_ms + self.samples * self.interval_ms


@dataclass(frozen=True, slots=True)
class PublishedLabel:
    """What was published of one window."""

    window_id: str
    device_id: str
    window_start_ms: float
    activity: str
    activity_raw: str | None = None
    """The same of the window alone, where events say it."""


@dataclass(slots=True)
class Alignment:
    """Published activities beside true ones, and why other events could not be judged."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    """(true, published), one for each window wholly within one activity."""
    raw_pairs: list[tuple[str, str]] = field(default_factory=list)
    """The same of the windows alone, where events say it."""
    movements: Counter[str] = field(default_factory=Counter)
    """What windows were published as that lie at least half within a movement."""
    unlabelled: int = 0
    """Other windows that touch a change, or that nobody has labelled."""
    unknown_device: int = 0
    """Events of devices that are no replayed and labelled recording."""
    outside_replay: int = 0
    """Events of a replayed device at a time when no replay of it was streamed."""
    repeated: int = 0
    """Events of a window that had one already; the first one counts."""


def align_events(
    events: Iterable[PublishedLabel],
    replays: Mapping[str, Sequence[ReplayedSpan]],
    segments: Mapping[str, Sequence[Segment]],
) -> Alignment:
    """Find what was true during each window.

    A window takes the 128 samples from the first one at or after its start. Where a recording
    was replayed several times, an event belongs to the replay whose time span it starts in.

    Args:
        events: what was published, in any order.
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
        first = _first_sample(event.window_start_ms, replays[event.device_id])
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


def _first_sample(window_start_ms: float, replays: Sequence[ReplayedSpan]) -> int | None:
    for replay in replays:
        # A window is whole if it starts less than one sample before the first.
        if replay.start_ms - replay.interval_ms < window_start_ms < replay.end_ms:
            return ceil((window_start_ms - replay.start_ms) / replay.interval_ms)
    return None
