"""Labelled windows of recordings, as the live path would have cut them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from streamer.errors import DataError
from streamer.features import UCI_HAR, extract, scale
from streamer.features.filters import condition
from streamer.model.augment import varied
from streamer.model.evaluation import TRUTHS, activity_during
from streamer.model.recordings import Recording, Segment, read_labels, read_recordings

Ints = npt.NDArray[np.int64]

COPIES = 5
"""Varied copies of each recording, besides itself."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Labelled windows.

    Attributes:
        features: (n, 561) on the published scale.
        classes: (n,), positions in `TRUTHS`.
        subjects: (n,), who it was.
        copy: (n,), 0 for a recording as it is, 1 to `COPIES` for a varied one.
    """

    features: npt.NDArray[np.float64]
    classes: Ints
    subjects: Ints
    copy: Ints

    def __len__(self) -> int:
        return len(self.classes)

    def of(self, rows: Ints) -> "Windows":
        """Some of the windows."""
        return Windows(
            self.features[rows], self.classes[rows], self.subjects[rows], self.copy[rows]
        )

    @classmethod
    def joined(cls, parts: Sequence["Windows"]) -> "Windows":
        """All of the windows."""
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.classes for part in parts]),
            np.concatenate([part.subjects for part in parts]),
            np.concatenate([part.copy for part in parts]),
        )


def collect(
    raw_dir: Path,
    users: Collection[int] = (),
    exclude_users: Collection[int] = (),
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
    copies: int = COPIES,
) -> Windows:
    """Cut recordings and varied copies of them, each from a random sample of its first hop.

    The other arguments are those of `streamer.model.train.train`. However many copies there are,
    the windows of the recordings as they are stay the same.

    Raises:
        DataError: a user is not there, nobody is left, or the data are malformed.
    """
    segments = read_labels(raw_dir / "labels.txt")
    present = {segment.user for segment in segments}
    if unknown := {*users, *exclude_users} - present:
        raise DataError(
            f"{raw_dir / 'labels.txt'} has no user {_listed(unknown)}; it has {_listed(present)}"
        )
    wanted = (set(users) or present) - set(exclude_users)
    parts = []
    for recording in read_recordings(raw_dir):
        if recording.user in wanted:
            own = [s for s in segments if s.experiment == recording.experiment]
            # Of its own, so that leaving others out does not change a recording's windows.
            rng = np.random.default_rng([seed, recording.experiment])
            for copy in range(copies + 1):
                version = varied(recording, rng) if copy else recording
                parts.append(cut(version, own, int(rng.integers(UCI_HAR.hop)), copy))
            report(f"{recording.device_id}: {len(parts[-1])} windows")
    if not parts:
        raise DataError(f"{raw_dir} has no recordings of users to learn from")
    return Windows.joined(parts)


def cut(recording: Recording, segments: Sequence[Segment], offset: int, copy: int = 0) -> Windows:
    """Cut a recording into windows as if it were streamed, and keep the labelled ones.

    Args:
        recording: filtered from rest on its first sample, with all that lies between segments.
        segments: of this recording.
        offset: sample at which the first window starts; each next one starts a hop later.
        copy: what to call it.
    """
    samples = recording.acc_gyro.T
    end = samples.shape[1] - UCI_HAR.length - UCI_HAR.lookahead + 1
    labelled = [
        (start, TRUTHS.index(activity))
        for start in range(offset, end, UCI_HAR.hop)
        if (activity := activity_during(start, segments)) is not None
    ]
    starts, classes = np.array(labelled, np.int64).reshape(-1, 2).T
    # The jerk takes one sample more.
    signals = condition(samples, start="rest")
    windows = sliding_window_view(signals, UCI_HAR.length + 1, axis=1).swapaxes(0, 1)
    return Windows(
        features=scale(extract(windows[starts])),
        classes=classes,
        subjects=np.full(len(starts), recording.user),
        copy=np.full(len(starts), copy),
    )


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
