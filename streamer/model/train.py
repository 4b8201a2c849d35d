"""Training: multinomial logistic regression on windows as the live path would have cut them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from streamer.errors import DataError, ModelError
from streamer.features import UCI_HAR, extract, scale
from streamer.features.filters import condition
from streamer.model.artifact import FEATURES, Card, LinearModel, Training
from streamer.model.evaluation import TRUTHS, activity_during, confusion_matrix, macro_f1
from streamer.model.recordings import Recording, Segment, read_labels, read_recordings

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

OFFSETS = 2
"""How often a recording is cut, each time from another random sample of its first hop."""

FOLDS = 7


@dataclass(frozen=True, slots=True)
class Windows:
    """Labelled windows.

    Attributes:
        features: (n, 561) on the published scale.
        classes: (n,), positions in `TRUTHS`.
        subjects: (n,), who it was.
    """

    features: Floats
    classes: Ints
    subjects: Ints

    def __len__(self) -> int:
        return len(self.classes)

    def of(self, rows: npt.NDArray[np.bool_] | Ints) -> "Windows":
        """Some of the windows."""
        return Windows(self.features[rows], self.classes[rows], self.subjects[rows])


def train(
    raw_dir: Path,
    model_id: str,
    users: Collection[int] = (),
    exclude_users: Collection[int] = (),
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> LinearModel:
    """Train a model; the same arguments give the same model.

    Args:
        raw_dir: recordings and their ``labels.txt``, see `streamer.model.recordings`.
        model_id: its name.
        users: whom to learn from; everybody when empty.
        exclude_users: whom not to learn from.
        seed: of the samples at which windows start.
        report: is told the progress, a line at a time.

    Raises:
        DataError: there is too little to learn from, or it is malformed.
        ModelError: scikit-learn is not installed.
    """
    if find_spec("sklearn") is None:
        raise ModelError(
            "training needs scikit-learn, which is not installed: pip install 'streamer[train]'"
        )
    windows = collect(raw_dir, users, exclude_users, seed, report)
    subjects = np.unique(windows.subjects)
    report(f"{len(windows)} windows of {len(subjects)} users")
    if len(subjects) < 2:
        raise DataError(f"{raw_dir}: to learn and to check what was learned takes two users")
    score = cross_validate(windows)
    report(f"macro-F1 {score:.4f} on users left out of training")
    weights, bias = fit(windows)
    card = Card(
        id=model_id,
        feature_set=FEATURES,
        labels=tuple(activity.upper() for activity in TRUTHS),
        activities=TRUTHS,
        training=Training(
            algorithm="multinomial logistic regression, L2, C = 1",
            seed=seed,
            subjects=tuple(subjects.tolist()),
            windows=len(windows),
            macro_f1=round(score, 4),
        ),
    )
    return LinearModel(card, weights, bias)


def collect(
    raw_dir: Path,
    users: Collection[int],
    exclude_users: Collection[int],
    seed: int,
    report: Callable[[str], None],
) -> Windows:
    """Cut the recordings of the chosen users; the arguments are those of `train`.

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
    rng = np.random.default_rng(seed)
    parts = []
    for recording in read_recordings(raw_dir):
        # Drawn for every recording, so that leaving some out does not change the others.
        offsets = rng.choice(UCI_HAR.hop, OFFSETS, replace=False)
        if recording.user in wanted:
            own = [s for s in segments if s.experiment == recording.experiment]
            parts.append(cut(recording, own, offsets.tolist()))
            report(f"{recording.device_id}: {len(parts[-1])} windows")
    if not parts:
        raise DataError(f"{raw_dir} has no recordings of users to learn from")
    return Windows(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.subjects for part in parts]),
    )


def cut(recording: Recording, segments: Sequence[Segment], offsets: Iterable[int]) -> Windows:
    """Cut a recording into windows as if it were streamed, and keep the labelled ones.

    Args:
        recording: filtered from rest on its first sample, with all that lies between segments.
        segments: of this recording.
        offsets: samples at which series of windows start, half overlapping.
    """
    samples = recording.acc_gyro.T
    signals = condition(samples, start="rest")
    end = samples.shape[1] - UCI_HAR.length - UCI_HAR.lookahead + 1
    labelled = [
        (start, TRUTHS.index(activity))
        for offset in offsets
        for start in range(offset, end, UCI_HAR.hop)
        if (activity := activity_during(start, segments)) is not None
    ]
    starts, classes = np.array(labelled, np.int64).reshape(-1, 2).T
    # The jerk takes one sample more.
    windows = sliding_window_view(signals, UCI_HAR.length + 1, axis=1).swapaxes(0, 1)
    features = scale(extract(windows[starts]))
    return Windows(features, classes, np.full(len(starts), recording.user))


def cross_validate(windows: Windows) -> float:
    """Macro-F1 on subjects left out of training, over all folds together."""
    from sklearn.model_selection import GroupKFold  # noqa: PLC0415 - an extra

    folds = GroupKFold(min(FOLDS, len(np.unique(windows.subjects))))
    pairs = []
    for seen, unseen in folds.split(windows.features, groups=windows.subjects):
        weights, bias = fit(windows.of(seen))
        left_out = windows.of(unseen)
        answers = (left_out.features @ weights.T + bias).argmax(axis=1)
        pairs += [
            (TRUTHS[true], TRUTHS[answer])
            for true, answer in zip(left_out.classes, answers, strict=True)
        ]
    return macro_f1(confusion_matrix(pairs))


def fit(windows: Windows) -> tuple[Floats, Floats]:
    """Fit the classifier; returns weights (classes, 561) and bias (classes,).

    Raises:
        DataError: an activity is missing.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - an extra
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    if missing := set(range(len(TRUTHS))) - set(windows.classes.tolist()):
        raise DataError(
            "there is too little to learn from: without some of the users nobody is seen "
            + ", ".join(TRUTHS[i] for i in sorted(missing))
        )
    # On one thread, or the last bits depend on the number of cores.
    with threadpool_limits(1):
        scaler = StandardScaler().fit(windows.features)
        classifier = LogisticRegression(C=1.0, max_iter=2000)
        classifier.fit(scaler.transform(windows.features), windows.classes)
    # Folded: w . (x - mean) / sd + b  =  (w / sd) . x + (b - (w / sd) . mean)
    weights: Floats = classifier.coef_ / scaler.scale_
    bias: Floats = classifier.intercept_ - (weights * scaler.mean_).sum(axis=1)
    return weights, bias


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
