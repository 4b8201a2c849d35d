"""Windows of recordings, cut as the worker cuts them, with the activity of each."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from streamer.arrays import Bools, Floats, Ints, Strings
from streamer.contracts.activities import is_movement
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.datasets.recording import Recording, Segment
from streamer.errors import DataError
from streamer.features import UCI_HAR, FeatureSet, compute_features
from streamer.features.filters import condition
from streamer.features.window_shape import WINDOW

UNLABELLED = ""
"""The activity of a window that overlaps a change of activity, or that has no label."""
LEAST_OF_MOVEMENT = WINDOW.length // 2
"""A window with at least this many samples of one movement is a window of that movement."""

MakeCopies = Callable[[Recording, np.random.Generator], Iterator[Recording]]
"""Yields varied copies of a recording, each computed when it is asked for."""


def make_no_copies(_: Recording, __: np.random.Generator) -> Iterator[Recording]:
    """Yield nothing."""
    return iter(())


@dataclass(frozen=True, slots=True)
class LabelledWindows:
    """Windows, ordered by recording, copy and time.

    Attributes:
        features: (n, features), of `feature_set`.
        truths: (n,), an activity, a movement, or `UNLABELLED`.
        subjects: (n,), whose windows they are.
        recordings: (n,), names of the recordings.
        starts: (n,), index of the first sample in the recording.
        copies: (n,), 0 for the recording itself, 1 and more for its varied copies.
        places: (n,), place of the device, such as `waist`; empty if it is unknown.
        feature_set: which features these are.
    """

    features: Floats
    truths: Strings
    subjects: Strings
    recordings: Strings
    starts: Ints
    copies: Ints
    places: Strings
    feature_set: FeatureSet = UCI_HAR

    def __len__(self) -> int:
        return len(self.truths)

    def of(self, rows: Ints | Bools) -> "LabelledWindows":
        """Return the windows at these rows (indices, or a mask of all rows)."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return replace(self, **columns)

    @classmethod
    def joined(cls, parts: Sequence["LabelledWindows"]) -> "LabelledWindows":
        """Concatenate windows of the same feature set."""
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS
        }
        return replace(parts[0], **columns)


_COLUMNS = tuple(field.name for field in fields(LabelledWindows) if field.name != "feature_set")


def cut_recordings(
    recordings: Iterable[Recording],
    users: Collection[str] = (),
    exclude_users: Collection[str] = (),
    make_copies: MakeCopies = make_no_copies,
    seed: int = 0,
    feature_set: FeatureSet = UCI_HAR,
    report: ReportProgress = ignore_progress,
) -> LabelledWindows:
    """Cut recordings and varied copies of them into windows.

    The first window of each starts at a random sample of the first hop.

    Args:
        recordings: the recordings, each of which has a name of its own.
        users: the subjects to take; all when empty.
        exclude_users: the subjects to leave out.
        make_copies: makes the varied copies; by default there are none.
        seed: of the random offsets and variations.
        feature_set: the features to compute.
        report: called when a recording is done.

    Raises:
        DataError: a user does not occur, or no user is left.
    """
    everything = list(recordings)
    wanted = select_users([each.subject for each in everything], users, exclude_users)
    stack = _WindowStack(len(feature_set.names))
    for done, i in enumerate(np.flatnonzero(wanted).tolist(), 1):
        recording = everything[i]
        # A generator for each recording: its windows do not depend on which others are read.
        rng = np.random.default_rng([seed, crc32(recording.device_id.encode())])
        offset = int(rng.integers(WINDOW.hop))
        stack.append(cut_recording(recording, offset, feature_set=feature_set))
        for copy, varied in enumerate(make_copies(recording, rng), 1):
            offset = int(rng.integers(WINDOW.hop))
            windows = cut_recording(varied, offset, copy, feature_set)
            stack.append(windows.of(windows.truths != UNLABELLED))
        report("windows of recordings", done, int(wanted.sum()))
    return stack.join()


class _WindowStack:
    """Collects windows. Their features are in one array that grows in place.

    Many small arrays would stay in the heap of the process after they were joined, which doubles
    its memory for good.
    """

    def __init__(self, columns: int) -> None:
        self._parts: list[LabelledWindows] = []
        self._columns = columns
        self._features = np.empty((0, columns))
        self._count = 0

    def append(self, windows: LabelledWindows) -> None:
        end = self._count + len(windows)
        if end > len(self._features):
            self._features.resize((end + end // 8, self._columns), refcheck=False)
        self._features[self._count : end] = windows.features
        self._count = end
        self._parts.append(replace(windows, features=np.empty((0, self._columns))))

    def join(self) -> LabelledWindows:
        """Return all windows; nothing can be appended afterwards."""
        self._features.resize((self._count, self._columns), refcheck=False)
        return replace(LabelledWindows.joined(self._parts), features=self._features)


def select_users(
    subjects: Sequence[str], users: Collection[str], exclude_users: Collection[str]
) -> Bools:
    """Return a mask (n,) of the subjects (n) that are wanted.

    Raises:
        DataError: a user does not occur, or no user is left.
    """
    if unknown := {*users, *exclude_users} - {*subjects}:
        raise DataError(
            f"there is no user {', '.join(sort_naturally(unknown))}; there are "
            + ", ".join(sort_naturally(subjects))
        )
    wanted = np.array([_is_wanted(subject, users, exclude_users) for subject in subjects], bool)
    if not wanted.any():
        raise DataError("no recordings are left: --users and --exclude-users leave out all users")
    return wanted


def _is_wanted(subject: str, users: Collection[str], exclude_users: Collection[str]) -> bool:
    return subject not in exclude_users and (not users or subject in users)


def cut_recording(
    recording: Recording, offset: int, copy: int = 0, feature_set: FeatureSet = UCI_HAR
) -> LabelledWindows:
    """Cut a recording into windows as the worker does.

    Args:
        recording: is filtered from rest on its first sample.
        offset: sample at which the first window starts; each next window starts one hop later.
        copy: number of the varied copy; 0 for the recording itself.
        feature_set: the features to compute.
    """
    samples = recording.acc_gyro.T
    end = samples.shape[1] - WINDOW.length - WINDOW.lookahead + 1
    starts = np.arange(offset, max(end, offset), WINDOW.hop)
    if not len(starts):
        features = np.empty((0, len(feature_set.names)))
    else:
        # The jerk needs one sample after the window.
        signals = condition(samples, start="rest")
        windows = sliding_window_view(signals, WINDOW.length + 1, axis=1).swapaxes(0, 1)
        features = compute_features(feature_set, windows[starts])
    truths = [true_activity(start, recording.segments) for start in starts.tolist()]
    return LabelledWindows(
        features=features,
        truths=np.array(truths, np.str_),
        subjects=np.full(len(starts), recording.subject),
        recordings=np.full(len(starts), recording.device_id),
        starts=starts,
        copies=np.full(len(starts), copy),
        places=np.full(len(starts), recording.place),
        feature_set=feature_set,
    )


def true_activity(first: int, segments: Sequence[Segment]) -> str:
    """Return what was done in the window that starts at sample ``first`` (counted from 0).

    An activity must last for the whole window, a movement for at least half of it. Otherwise the
    window is `UNLABELLED`.
    """
    longest, movement = LEAST_OF_MOVEMENT - 1, UNLABELLED
    for segment in segments:
        shared = min(first + WINDOW.length, segment.end0) - max(first, segment.start0)
        if is_movement(segment.activity):
            if shared > longest:
                longest, movement = shared, segment.activity
        elif shared == WINDOW.length:
            return segment.activity
    return movement


def sort_naturally(names: Iterable[str]) -> list[str]:
    """Return the different names, sorted such that 2 comes before 10."""
    return sorted(set(names), key=lambda name: (len(name), name))
