"""How well do published labels agree with what people really did? Pure functions.

A replay streams a recording, sample i at ``start_ms + i * interval_ms``. A window of it counts if
it lies wholly within one labelled segment::

    recording   |--- standing ---|??|---------- walking ----------|
    windows       [======]                  counts
                         [======]           does not: it touches a change
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np
import numpy.typing as npt

from streamer.contracts.activities import UNKNOWN
from streamer.devices.motions import Activity as _Activity
from streamer.features import UCI_HAR
from streamer.model.recordings import Segment

Activity = str
TRUTHS: tuple[str, ...] = tuple(str(activity) for activity in _Activity)
"""Rows of a confusion matrix: what people can really do, in the order of the data set's 1 to 6."""
ANSWERS: tuple[Activity, ...] = (*TRUTHS, UNKNOWN)
"""Columns of a confusion matrix: what can be published."""


def activity_during(first: int, segments: Sequence[Segment]) -> Activity | None:
    """Say what a person did during the whole window that starts at sample ``first`` (from 0).

    None where that is not one of `TRUTHS`, or more than one.
    """
    for segment in segments:
        if segment.start0 <= first and first + UCI_HAR.length <= segment.end0:
            # 7 to 12 are transitions between postures.
            return TRUTHS[segment.activity - 1] if segment.activity <= len(TRUTHS) else None
    return None


@dataclass(frozen=True, slots=True)
class Replay:
    """When the samples of a recording were streamed as a device's readings."""

    start_ms: float
    samples: int
    interval_ms: float

    @property
    def end_ms(self) -> float:
        """One interval after the last sample."""
        return self.start_ms + self.samples * self.interval_ms


@dataclass(frozen=True, slots=True)
class Labelled:
    """What was published of one window."""

    window_id: str
    device_id: str
    window_start_ms: float
    activity: Activity


@dataclass(slots=True)
class Alignment:
    """Published activities beside true ones, and why other events could not be judged."""

    pairs: list[tuple[Activity, Activity]] = field(default_factory=list)
    """(true, published), one for each window wholly within one labelled segment."""
    unlabelled: int = 0
    """Windows that touch a change of activity or something that is none of the six."""
    unknown_device: int = 0
    """Events of devices that are no replayed and labelled recording."""
    outside_replay: int = 0
    """Events of a replayed device at a time when no replay of it was streamed."""
    repeated: int = 0
    """Events of a window that had one already; the first one counts."""


def align(
    events: Iterable[Labelled],
    replays: Mapping[str, Sequence[Replay]],
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
        elif (true := activity_during(first, segments[event.device_id])) is None:
            alignment.unlabelled += 1
        else:
            alignment.pairs.append((true, event.activity))
    return alignment


def _first_sample(window_start_ms: float, replays: Sequence[Replay]) -> int | None:
    for replay in replays:
        # A window is whole if it starts less than one sample before the first.
        if replay.start_ms - replay.interval_ms < window_start_ms < replay.end_ms:
            return ceil((window_start_ms - replay.start_ms) / replay.interval_ms)
    return None


@dataclass(frozen=True, slots=True)
class ClassScores:
    """How well one activity is recognized; a ratio without cases is 0."""

    precision: float
    """Share of the windows called so that are so."""
    recall: float
    """Share of the windows that are so which are called so."""
    f1: float
    """Harmonic mean of the two."""
    support: int
    """Windows that are so."""


def confusion_matrix(pairs: Iterable[tuple[Activity, Activity]]) -> npt.NDArray[np.int64]:
    """Count (true, published) pairs: rows `TRUTHS`, columns `ANSWERS`."""
    matrix = np.zeros((len(TRUTHS), len(ANSWERS)), np.int64)
    for true, published in pairs:
        matrix[TRUTHS.index(true), ANSWERS.index(published)] += 1
    return matrix


def accuracy(matrix: npt.NDArray[np.int64]) -> float:
    """Share of the windows whose label is right; `unknown` never is. 0 without windows."""
    return _ratio(np.trace(matrix), matrix.sum())


def class_scores(matrix: npt.NDArray[np.int64]) -> dict[Activity, ClassScores]:
    """Return the scores of each activity in `TRUTHS`."""
    scores = {}
    for i, activity in enumerate(TRUTHS):
        right, support, called = matrix[i, i], matrix[i].sum(), matrix[:, i].sum()
        scores[activity] = ClassScores(
            precision=_ratio(right, called),
            recall=_ratio(right, support),
            f1=_ratio(2 * right, support + called),
            support=int(support),
        )
    return scores


def macro_f1(matrix: npt.NDArray[np.int64]) -> float:
    """Mean F1 of the activities that really occurred. 0 without windows."""
    occurred = [scores.f1 for scores in class_scores(matrix).values() if scores.support]
    return _ratio(sum(occurred), len(occurred))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
