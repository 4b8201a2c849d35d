"""Training of a linear classifier, checked and calibrated on people it has not seen."""

from collections.abc import Callable, Collection
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from streamer.errors import DataError, ModelError
from streamer.model.artifact import FEATURES, Card, LinearModel, Training
from streamer.model.evaluation import TRUTHS, confusion_matrix, macro_f1
from streamer.model.windows import COPIES, Ints, Windows, collect

Floats = npt.NDArray[np.float64]
FOLDS = 7

Algorithm = Literal["lda", "logistic"]
ALGORITHMS: dict[Algorithm, str] = {
    "lda": "linear discriminant analysis, shrinkage 1e-4",
    "logistic": "multinomial logistic regression, L2, C = 1",
}


def train(
    raw_dir: Path,
    model_id: str,
    algorithm: Algorithm = "lda",
    users: Collection[int] = (),
    exclude_users: Collection[int] = (),
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> LinearModel:
    """Train a model; the same arguments give the same model.

    Args:
        raw_dir: recordings and their ``labels.txt``, see `streamer.model.recordings`.
        model_id: its name.
        algorithm: how to learn.
        users: whom to learn from; everybody when empty.
        exclude_users: whom not to learn from.
        seed: of where windows start and how copies are varied.
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
    originals = int((windows.copy == 0).sum())
    report(f"{originals} windows of {len(subjects)} users, each with {COPIES} varied copies")
    if len(subjects) < 2:
        raise DataError(f"{raw_dir}: to learn and to check what was learned takes two users")
    score, temperature = cross_validate(windows, algorithm, report)
    report(f"macro-F1 {score:.4f} on users left out of training, temperature {temperature:.2f}")
    weights, bias = fit(windows, algorithm)
    card = Card(
        id=model_id,
        feature_set=FEATURES,
        labels=tuple(activity.upper() for activity in TRUTHS),
        activities=TRUTHS,
        training=Training(
            algorithm=ALGORITHMS[algorithm],
            seed=seed,
            subjects=tuple(subjects.tolist()),
            windows=originals,
            copies=COPIES,
            macro_f1=round(score, 4),
        ),
    )
    return LinearModel(card, weights / temperature, bias / temperature)


def cross_validate(
    windows: Windows, algorithm: Algorithm, report: Callable[[str], None]
) -> tuple[float, float]:
    """Judge recordings, as they are, of subjects left out of training; all folds together.

    Returns:
        Macro-F1, and the temperature that makes the probabilities as right as they say.
    """
    from sklearn.model_selection import GroupKFold  # noqa: PLC0415 - an extra

    folds = GroupKFold(min(FOLDS, len(np.unique(windows.subjects))))
    logits, classes = [], []
    splits = folds.split(windows.features, groups=windows.subjects)
    for fold, (seen, unseen) in enumerate(splits, start=1):
        report(f"checking on users left out, fold {fold} of {folds.n_splits}")
        weights, bias = fit(windows.of(seen), algorithm)
        left_out = windows.of(unseen[windows.copy[unseen] == 0])
        logits.append(left_out.features @ weights.T + bias)
        classes.append(left_out.classes)
    scores, truths = np.concatenate(logits), np.concatenate(classes)
    pairs = [
        (TRUTHS[true], TRUTHS[answer])
        for true, answer in zip(truths, scores.argmax(axis=1), strict=True)
    ]
    return macro_f1(confusion_matrix(pairs)), best_temperature(scores, truths)


def best_temperature(logits: Floats, classes: Ints) -> float:
    """Find by what to divide logits (n, classes) so that the true classes are most likely."""

    def surprise(log_temperature: float) -> float:
        tempered = logits / np.exp(log_temperature)
        likelihood = tempered[np.arange(len(classes)), classes] - logsumexp(tempered, axis=1)
        return float(-likelihood.mean())

    found = minimize_scalar(surprise, bounds=(-3, 5), method="bounded")
    # Rounded, so that the search's last bits are not the model's.
    return round(float(np.exp(found.x)), 3)


def fit(windows: Windows, algorithm: Algorithm) -> tuple[Floats, Floats]:
    """Fit the classifier; returns weights (classes, 561) and bias (classes,).

    Raises:
        DataError: an activity is missing.
    """
    from sklearn.discriminant_analysis import (  # noqa: PLC0415 - an extra
        LinearDiscriminantAnalysis,
    )
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # noqa: PLC0415

    if missing := set(range(len(TRUTHS))) - set(windows.classes.tolist()):
        raise DataError(
            "there is too little to learn from: without some of the users nobody is seen "
            + ", ".join(TRUTHS[i] for i in sorted(missing))
        )
    # On one thread, or the last bits depend on the number of cores.
    with threadpool_limits(1):
        scaler = StandardScaler().fit(windows.features)
        classifier = (
            LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-4)
            if algorithm == "lda"
            else LogisticRegression(C=1.0, max_iter=2000)
        )
        classifier.fit(scaler.transform(windows.features), windows.classes)
    # Folded: w . (x - mean) / sd + b  =  (w / sd) . x + (b - (w / sd) . mean)
    weights: Floats = classifier.coef_ / scaler.scale_
    bias: Floats = classifier.intercept_ - (weights * scaler.mean_).sum(axis=1)
    return weights, bias
