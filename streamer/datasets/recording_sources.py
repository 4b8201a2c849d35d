"""Recordings from any source: the public layout, or files that a profile describes.

To learn and to judge, they are put on the grid of 50 Hz; a replay sends them at their own rates.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

import numpy as np

from streamer.datasets.profiled_recordings import read_profiled_recordings
from streamer.datasets.public_recordings import (
    read_labelled_recordings,
    read_labels,
    read_recordings,
)
from streamer.datasets.raw_recording import RawRecording, SensorSeries, TimedLabel
from streamer.datasets.recording import Recording, Segment
from streamer.datasets.regular_grid import (
    LONGEST_GAP_US,
    STEP_US,
    find_spans,
    place_labels,
    split_and_regularize,
)
from streamer.datasets.signal_checks import find_faults
from streamer.errors import DataError
from streamer.profiles.profile import FileLayout

Note = Callable[[str], None]
"""Called with a sentence about a recording that its user should know."""


def has_public_layout(source: Path) -> bool:
    """Whether a folder has recordings in the public layout with their labels."""
    return source.is_dir() and (source / "labels.txt").exists()


def read_for_learning(
    source: Path, layout: FileLayout | None, note: Note, needs_gyroscope: bool = True
) -> list[Recording]:
    """Read labelled recordings, to learn from or to judge by.

    Args:
        source: a folder in the public layout, or what the profile describes.
        layout: the section `files` of a profile; None for the public layout.
        note: called about gaps, and about recordings that are left out.
        needs_gyroscope: whether to leave out recordings without rotation. Otherwise they have 0 for
            it, and no feature should depend on that.

    Raises:
        DataError: a recording is malformed, or its values cannot be in the units of the profile.
    """
    if layout is None:
        return list(check_units(read_labelled_recordings(source)))
    found = []
    for raw in read_profiled_recordings(source, layout):
        if fault := next(find_faults(raw), None):
            raise DataError(fault)
        if not raw.labels:
            note(f"{raw.name} has no labels that the profile knows; it is left out")
            continue
        if raw.gyro is None and needs_gyroscope:
            note(
                f"{raw.name} has no rotation; it is left out: only --features gravity-acc, and "
                "models that have learned from them, need none"
            )
            continue
        found += _regularize(raw, note)
    if not found:
        raise DataError(f"{source} has no labelled recording that is long enough for a window")
    return found


def check_units(recordings: Iterable[Recording]) -> Iterator[Recording]:
    """Yield recordings in the public layout unchanged, if they can be in g and rad/s.

    Raises:
        DataError: the values of a recording cannot be in these units.
    """
    for recording in recordings:
        if len(recording.acc_gyro):
            for fault in find_faults(as_measured(recording)):
                raise DataError(
                    f"{fault}. Without a profile recordings are in g and rad/s; --profile "
                    "describes others"
                )
        yield recording


def read_segments(
    labels: Path, layout: FileLayout | None, note: Note
) -> Mapping[str, Sequence[Segment]]:
    """Read the labels of recordings, by the device ids under which they are replayed.

    Segments count steps of 20 ms since the first sample.

    Args:
        labels: ``labels.txt`` of the public layout, or what the profile describes.
        layout: the section `files` of a profile; None for the public layout.
        note: called about values that cannot be in the units of the profile.

    Raises:
        DataError: the labels are malformed.
    """
    if layout is None:
        return read_labels(labels)
    return {
        raw.name: tuple(place_labels(raw.labels, np.arange(raw.start_us, raw.end_us + 1, STEP_US)))
        for raw in read_for_replay(labels, layout, "*", note)
    }


def read_for_replay(
    source: Path, layout: FileLayout | None, only: str, note: Note
) -> list[RawRecording]:
    """Read recordings to publish, as their devices measured.

    Args:
        source: a folder in the public layout, or what the profile describes.
        layout: the section `files` of a profile; None for the public layout.
        only: glob pattern of the device ids to read.
        note: called about values that cannot be in the units of the profile.

    Raises:
        DataError: there is no such recording, or one is malformed.
    """
    if layout is None:
        found = [as_measured(recording) for recording in read_recordings(source, only)]
    else:
        profiled = read_profiled_recordings(source, layout)
        found = [raw for raw in profiled if fnmatchcase(raw.name, only)]
    if not found:
        raise DataError(f"no recording in {source} matches {only!r}")
    for raw in found:
        for fault in find_faults(raw) if len(raw.acc) else ():
            note(fault)
    return found


def as_measured(recording: Recording) -> RawRecording:
    """Return a recording at 50 Hz with the times of its samples and labels."""
    times_us = np.arange(len(recording.acc_gyro)) * STEP_US
    acc, gyro = (SensorSeries(times_us, recording.acc_gyro[:, k : k + 3]) for k in (0, 3))
    labels = tuple(
        TimedLabel(segment.activity, segment.start0 * STEP_US, segment.end0 * STEP_US)
        for segment in recording.segments
    )
    return RawRecording(recording.device_id, recording.subject, acc, gyro, labels, from_epoch=False)


def _regularize(raw: RawRecording, note: Note) -> list[Recording]:
    spans, parts = list(find_spans(raw)), list(split_and_regularize(raw))
    if len(spans) > 1:
        longest_s = max(b[0] - a[1] for a, b in pairwise(spans)) / 1e6
        note(
            f"{raw.name}: gaps of more than {LONGEST_GAP_US // 1000} ms: {len(spans) - 1}, the "
            f"longest {longest_s:.1f} s; parts between them that are long enough for a window: "
            f"{len(parts)}"
        )
    elif not parts:
        note(f"{raw.name} is shorter than a window; it is left out")
    return parts
