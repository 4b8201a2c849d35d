"""Windows of recordings, as the live path would have cut them, and what was true during each."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from zlib import crc32

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from streamer.arrays import Bools, Floats, Ints, Strings
from streamer.contracts.activities import is_movement
from streamer.datasets.public_recordings import Segment, Session
from streamer.errors import DataError
from streamer.features import NAMES, UCI_HAR, extract, scale
from streamer.features.filters import condition
from streamer.training.variation import COPIES, vary

UNLABELLED = ""
"""What was done in a window that touches a change, or that nobody has labelled."""
LEAST_OF_MOVEMENT = UCI_HAR.length // 2
"""A window with so many samples of one movement is a window of that movement."""


@dataclass(frozen=True, slots=True)
class LabelledWindows:
    """Windows in the order of recordings, copies and time.

    Attributes:
        features: (n, 561) on the published scale.
        truths: (n,), an activity, a movement, or `NOTHING`.
        subjects: (n,), who it was.
        recordings: (n,), names of the recordings.
        starts: (n,), first samples.
        copies: (n,), 0 for a recording as it is, 1 and more for varied ones.
    """

    features: Floats
    truths: Strings
    subjects: Strings
    recordings: Strings
    starts: Ints
    copies: Ints

    def __len__(self) -> int:
        return len(self.truths)

    def of(self, rows: Ints | Bools) -> "LabelledWindows":
        """Some of the windows."""
        return LabelledWindows(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence["LabelledWindows"]) -> "LabelledWindows":
        """All of the windows."""
        columns = [[getattr(part, field.name) for part in parts] for field in fields(cls)]
        return cls(*map(np.concatenate, columns))


def cut_recordings(
    sessions: Iterable[Session],
    users: Collection[str] = (),
    exclude_users: Collection[str] = (),
    copies: int = len(COPIES),
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> LabelledWindows:
    """Cut recordings and varied copies of them, each from a random sample of its first hop.

    Args:
        sessions: recordings.
        users: whom to take; everybody when empty.
        exclude_users: whom not to take.
        copies: how many varied copies of each recording, at most as many as `COPIES`.
        seed: of where windows start and how copies are varied.
        report: is told which recording is done.

    Raises:
        DataError: a user is not there, or nobody is left.
    """
    parts, present = [], set()
    for session in sessions:
        present.add(session.subject)
        if not _wanted(session.subject, users, exclude_users):
            continue
        # Of its own, so that leaving others out does not change a recording's windows.
        rng = np.random.default_rng([seed, crc32(session.device_id.encode())])
        parts.append(cut_recording(session, int(rng.integers(UCI_HAR.hop))))
        for copy, variation in enumerate(COPIES[:copies], 1):
            version = vary(session, variation, rng)
            windows = cut_recording(version, int(rng.integers(UCI_HAR.hop)), copy)
            parts.append(windows.of(windows.truths != UNLABELLED))
        report(session.device_id)
    select_users(list(present), users, exclude_users)
    return LabelledWindows.joined(parts)


def select_users(
    subjects: Sequence[str], users: Collection[str], exclude_users: Collection[str]
) -> Bools:
    """Which of these subjects (n) are wanted.

    Raises:
        DataError: a user is not there, or nobody is left.
    """
    if unknown := {*users, *exclude_users} - {*subjects}:
        raise DataError(
            f"there is no user {', '.join(in_natural_order(unknown))}; there are "
            + ", ".join(in_natural_order(subjects))
        )
    wanted = np.array([_wanted(subject, users, exclude_users) for subject in subjects], bool)
    if not wanted.any():
        raise DataError("there are no recordings of users to learn from")
    return wanted


def _wanted(subject: str, users: Collection[str], exclude_users: Collection[str]) -> bool:
    return subject not in exclude_users and (not users or subject in users)


def cut_recording(session: Session, offset: int, copy: int = 0) -> LabelledWindows:
    """Cut a recording into windows as if it were streamed.

    Args:
        session: filtered from rest on its first sample.
        offset: sample at which the first window starts; each next one starts a hop later.
        copy: what to call it.
    """
    samples = session.acc_gyro.T
    end = samples.shape[1] - UCI_HAR.length - UCI_HAR.lookahead + 1
    starts = np.arange(offset, max(end, offset), UCI_HAR.hop)
    if not len(starts):
        features = np.empty((0, len(NAMES)))
    else:
        # The jerk takes one sample more.
        signals = condition(samples, start="rest")
        windows = sliding_window_view(signals, UCI_HAR.length + 1, axis=1).swapaxes(0, 1)
        features = scale(extract(windows[starts]))
    return LabelledWindows(
        features=features,
        truths=np.array(
            [true_activity(start, session.segments) for start in starts.tolist()], np.str_
        ),
        subjects=np.full(len(starts), session.subject),
        recordings=np.full(len(starts), session.device_id),
        starts=starts,
        copies=np.full(len(starts), copy),
    )


def true_activity(first: int, segments: Sequence[Segment]) -> str:
    """Say what was done in the window that starts at sample ``first`` (from 0).

    An activity lasts for the whole window, a movement for at least half of it; otherwise it is
    `NOTHING`.
    """
    longest, moved = LEAST_OF_MOVEMENT - 1, UNLABELLED
    for segment in segments:
        shared = min(first + UCI_HAR.length, segment.end0) - max(first, segment.start0)
        if is_movement(segment.activity):
            if shared > longest:
                longest, moved = shared, segment.activity
        elif shared == UCI_HAR.length:
            return segment.activity
    return moved


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Sort names such that 2 comes before 10."""
    return sorted(set(names), key=lambda name: (len(name), name))
