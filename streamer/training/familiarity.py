"""Fits the familiarity of a model: the distance of windows of movement from its training data.

`streamer.training.train` fits it for every model. Varied copies are left out, because the distance
should depend on the movements of people and not on the way in which copies are made.
"""

from typing import Final

import numpy as np
from scipy.linalg import solve_triangular

from streamer.arrays import Bools, Floats, Strings
from streamer.contracts.activities import is_movement
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows
from streamer.features import FeatureSet
from streamer.model.familiarity import Familiarity, show_steady_movement
from streamer.training.linear_classifiers import limit_to_one_thread

COLUMNS_PUBLISHED: Final = 8
"""Number of features in the published frame. Gravity's direction separates places best there."""
COLUMNS_GRAVITY: Final = 100
"""Number of features in the frame of gravity, where places differ a little in each feature."""
SHRINKAGE: Final = 1e-2
"""Weight of a scaled identity matrix in the covariance."""
BOUND: Final = 8.0
"""Standard deviations from the mean beyond which a feature counts as the bound."""
KNOWN: Final = 0.98
"""Smallest share of the windows of each person left out that must not be strange."""
LEAST_WINDOWS: Final = 100
"""A class at a place with fewer windows of steady movement does not count."""

_GRAVITY = tuple(f"tGravityAcc-mean()-{axis}" for axis in "XYZ")
_SIZE_OF_GRAVITY = ("mean", "max", "min", "sma", "energy")


def fit_familiarity(windows: LabelledWindows) -> Familiarity | None:
    """Fit the familiarity to windows without varied copies.

    The limit is such that at least `KNOWN` of the windows of each person are within it, when the
    distance is fitted to the other people.

    Returns:
        None if there are too few windows of steady movement, or only those of one person.
    """
    steady = show_steady_movement(windows.feature_set, windows.features)
    is_activity = np.array([t != UNLABELLED and not is_movement(t) for t in windows.truths])
    some = windows.of(steady & is_activity)
    classes = np.char.add(np.char.add(some.truths, " "), some.places)
    names, counts = np.unique(classes, return_counts=True)
    enough = np.isin(classes, names[counts >= LEAST_WINDOWS])
    some, classes = some.of(enough), classes[enough]
    people = np.unique(some.subjects)
    if len(people) < 2:
        return None
    with limit_to_one_thread():
        residuals = some.features - _means_of_own(some.features, classes)
        columns = _choose_columns(some.feature_set, residuals)
        spread, mean = residuals[:, columns].std(axis=0), some.features[:, columns].mean(axis=0)
        bounds = np.array([mean - BOUND * spread, mean + BOUND * spread])
        values = np.clip(some.features[:, columns], *bounds)
        limit = max(
            _distance_of_left_out(values, classes, some.subjects == person) for person in people
        )
        whitening, centres = _whiten(values, classes)
    scale = 1 / np.sqrt(limit)
    return Familiarity(
        some.feature_set, np.array(columns), bounds, whitening * scale, centres * scale
    )


def _means_of_own(values: Floats, classes: Strings) -> Floats:
    """Return for each row (n, columns) the mean of its class."""
    found = np.empty_like(values)
    for name in np.unique(classes):
        found[classes == name] = values[classes == name].mean(axis=0)
    return found


def _choose_columns(feature_set: FeatureSet, residuals: Floats) -> list[int]:
    """Choose features one by one, always the one that the chosen ones explain least.

    This is Cholesky's decomposition of the correlations with pivots. In the published frame the
    direction of gravity comes first. In the frame of gravity its direction is left out, because it
    may be any, and its size, because it depends on the error of the accelerometer.
    """
    names = feature_set.names
    first = [] if feature_set.in_gravity_frame else [names.index(name) for name in _GRAVITY]
    count = COLUMNS_GRAVITY if feature_set.in_gravity_frame else COLUMNS_PUBLISHED
    usable = residuals.std(axis=0) > 1e-9
    if feature_set.in_gravity_frame:
        usable &= np.array([not _tells_gravity(name) for name in names])
    standard = np.where(usable, residuals, 0) / np.where(usable, residuals.std(axis=0), 1)
    correlations = standard.T @ standard / len(standard)
    left = np.where(usable, 1.0, -1.0)
    factors = np.zeros((len(names), count))
    chosen: list[int] = []
    for step in range(count):
        column = first[step] if step < len(first) else int(left.argmax())
        chosen.append(column)
        factors[:, step] = correlations[:, column] - factors[:, :step] @ factors[column, :step]
        factors[:, step] /= np.sqrt(left[column])
        left -= factors[:, step] ** 2
        left[chosen] = -1
    return chosen


def _tells_gravity(name: str) -> bool:
    signal, _, rest = name.partition("-")
    statistic = rest.partition("(")[0]
    return signal == "gravityDirection" or (
        signal in ("tGravityAcc", "tGravityAccMag") and statistic in _SIZE_OF_GRAVITY
    )


def _whiten(values: Floats, classes: Strings) -> tuple[Floats, Floats]:
    """Return the matrix that makes features within a class uncorrelated, and the class means.

    Returns:
        (m, m) upper triangular, by which features are multiplied from the right, such that the
        mean of the squares of the m products is 1 within a class; and the centres (k, m).
    """
    residuals = values - _means_of_own(values, classes)
    count = values.shape[1]
    covariance = residuals.T @ residuals / len(values)
    level = np.trace(covariance) / count
    # Each feature in its own unit before the identity is added.
    units = np.sqrt(np.where(np.diag(covariance) > 0, np.diag(covariance), level))
    correlations = (1 - SHRINKAGE) * covariance / np.outer(units, units)
    correlations[np.diag_indices(count)] += SHRINKAGE
    lower = np.linalg.cholesky(correlations)
    whitening = np.triu(solve_triangular(lower, np.diag(1 / units), lower=True).T)
    whitening /= np.sqrt(count)
    centres = [values[classes == name].mean(axis=0) for name in np.unique(classes)]
    return whitening, np.array(centres) @ whitening


def _distance_of_left_out(values: Floats, classes: Strings, own: Bools) -> float:
    """Return the distance within which `KNOWN` of a person's windows are, fitted to the others.

    A class that no other person has is left out. The result is 0 without any window to judge.
    """
    judged = own & np.isin(classes, classes[~own])
    if not judged.any():
        return 0.0
    whitening, centres = _whiten(values[~own], classes[~own])
    apart = (values[judged] @ whitening)[:, None] - centres
    return float(np.quantile((apart**2).sum(axis=2).min(axis=1), KNOWN))
