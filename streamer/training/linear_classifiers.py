"""Fits a linear classifier to each node of a tree. The same windows give the same bytes."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np
from scipy.linalg import solve

from streamer.arrays import Bools, Floats, Ints, Strings
from streamer.datasets.labelled_windows import LabelledWindows
from streamer.errors import ModelError
from streamer.model.class_tree import ClassTree, Outcomes
from streamer.training.class_hierarchy import divide_classes, single_division

CLIP = 5.0
"""Standardised features are clipped to this many standard deviations."""
SHRINKAGE = 1e-4
"""Weight of a scaled identity matrix in a covariance."""

_COLUMNS = 64
"""Columns whose deviation is computed at once."""

BETWEEN_PEOPLE = 0.5
"""Weight of the scatter between people within an outcome. It is reduced because there are so few
people that the directions in which their means differ are mostly chance."""

Algorithm = Literal["blend", "tree", "lda", "logistic"]
ALGORITHMS: dict[Algorithm, str] = {
    "blend": "tree of linear discriminants, each with its own covariance, shrinkage 1e-4, and of "
    "boosted trees",
    "tree": "tree of linear discriminants, each with its own covariance, shrinkage 1e-4",
    "lda": "linear discriminant analysis, shrinkage 1e-4",
    "logistic": "multinomial logistic regression, L2, C = 1",
}


@dataclass(frozen=True, slots=True)
class LinearClassifiers:
    """Linear classifiers of the nodes, before temperatures.

    Attributes:
        division: the nodes and their outcomes.
        low, high: (features,), bounds to which features are clipped.
        weights: (rows, features), one row for each logit of each node but its last.
        bias: (rows,).
    """

    division: ClassTree
    low: Floats
    high: Floats
    weights: Floats
    bias: Floats

    def logits(self, features: Floats) -> Floats:
        """Return the logits (n, rows) of windows (n, features)."""
        with limit_to_one_thread():
            logits: Floats = np.clip(features, self.low, self.high) @ self.weights.T + self.bias
        return logits


def limit_to_one_thread() -> AbstractContextManager[object]:
    """Compute matrix products on one thread, so that the bits do not depend on the machine.

    Raises:
        ModelError: scikit-learn is not installed.
    """
    if find_spec("threadpoolctl") is None:
        raise ModelError(
            "training needs scikit-learn, which is not installed: pip install 'streamer[train]'"
        )
    from threadpoolctl import (  # type: ignore[import-untyped] # noqa: PLC0415 - an extra
        threadpool_limits,
    )

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def divide_for(
    algorithm: Algorithm, activities: tuple[str, ...], windows: LabelledWindows, rows: Bools
) -> ClassTree:
    """Return how an algorithm divides the classes of the windows at these rows.

    Each outcome has a logit for each place that it occurs at.
    """
    nodes = (
        divide_classes(activities, windows.feature_set)
        if algorithm in ("blend", "tree")
        else single_division(activities)
    )
    if algorithm == "logistic":
        return ClassTree(nodes)
    classes = find_positions(windows.truths[rows], activities)
    outcome_of_logit = []
    for outcomes in nodes:
        which = find_outcomes(classes, outcomes)
        outcome_of_logit.append(_pair_with_places(which, windows.places[rows])[0])
    return ClassTree(nodes, outcome_of_logit)


def _pair_with_places(which: Ints, places: Strings) -> tuple[tuple[int, ...], Ints]:
    """Pair outcomes (n,) with places (n,).

    Returns:
        The outcome of each pair that occurs, in ascending order, and the number (n,) of the pair
        of each window, -1 where it has no outcome.
    """
    names, place = np.unique(places, return_inverse=True)
    numbers = np.where(which >= 0, which * len(names) + place, -1)
    occurring = np.unique(numbers[which >= 0])
    pairs = np.where(which >= 0, np.searchsorted(occurring, numbers), -1)
    return tuple((occurring // len(names)).tolist()), pairs


def fit_linear_classifiers(
    windows: LabelledWindows, rows: Bools, activities: tuple[str, ...], algorithm: Algorithm
) -> LinearClassifiers:
    """Fit classifiers to the windows at these rows (mask of all windows).

    All of these windows are labelled, and every class occurs among them. Memory: one copy of their
    features, and one of those that belong to the largest node below the first.

    Raises:
        ModelError: scikit-learn is not installed.
    """
    division = divide_for(algorithm, activities, windows, rows)
    classes, subjects = find_positions(windows.truths[rows], activities), windows.subjects[rows]
    with limit_to_one_thread():
        x = windows.features[rows]
        mean, spread = x.mean(axis=0), _compute_deviations(x)
        spread[spread == 0] = 1
        x -= mean
        x /= spread
        np.clip(x, -CLIP, CLIP, out=x)
        parts = []
        for outcomes in division.nodes:
            which = find_outcomes(classes, outcomes)
            if algorithm != "logistic":
                _, which = _pair_with_places(which, windows.places[rows])
            inside = which >= 0
            y = which[inside]
            some = x if inside.all() else x[inside]
            own, bias = (
                _logistic(some, y)
                if algorithm == "logistic"
                else _discriminant(some, y, subjects[inside])
            )
            parts.append((own[:-1] - own[-1], bias[:-1] - bias[-1]))
    weights = np.concatenate([weights for weights, _ in parts]) / spread
    # Folded: w . (x - mean) / spread + b  =  (w / spread) . x + (b - (w / spread) . mean)
    bias = np.concatenate([bias for _, bias in parts]) - (weights * mean).sum(axis=1)
    return LinearClassifiers(division, mean - CLIP * spread, mean + CLIP * spread, weights, bias)


def _compute_deviations(x: Floats) -> Floats:
    """Return the standard deviation (features,) of each column, a few columns at a time.

    The deviation of all columns at once would need another array as large as the features.
    """
    parts = [x[:, first : first + _COLUMNS].std(axis=0) for first in range(0, x.shape[1], _COLUMNS)]
    return np.concatenate(parts)


def find_positions(truths: Strings, activities: tuple[str, ...]) -> Ints:
    """Return the position (n,) of each window's activity, -1 where it is no class."""
    number = {activity: i for i, activity in enumerate(activities)}
    return np.array([number.get(truth, -1) for truth in truths.tolist()], np.int64)


def find_outcomes(classes: Ints, outcomes: Outcomes) -> Ints:
    """Return the outcome (n,) that each class belongs to, -1 where the division has none."""
    number = np.full(max(classes.max(initial=-1), *map(max, outcomes)) + 2, -1)
    for i, members in enumerate(outcomes):
        number[list(members)] = i
    found: Ints = number[classes]
    return found


def _discriminant(x: Floats, y: Ints, subjects: Strings) -> tuple[Floats, Floats]:
    counts = np.bincount(y)
    means = np.stack([x[y == i].mean(axis=0) for i in range(len(counts))])
    people = []
    for subject in np.unique(subjects):
        own = subjects == subject
        for i in np.unique(y[own]):
            rows = own & (y == i)
            people.append(np.sqrt(rows.sum()) * (x[rows].mean(axis=0) - means[i]))
    apart = np.stack(people)
    scatter = x.T @ x - (means.T * counts) @ means - (1 - BETWEEN_PEOPLE) * (apart.T @ apart)
    covariance = (1 - SHRINKAGE) / len(x) * scatter
    level = np.trace(covariance) / len(covariance) / (1 - SHRINKAGE)
    covariance[np.diag_indices_from(covariance)] += SHRINKAGE * level
    weights = solve(covariance, means.T, assume_a="pos").T
    return weights, np.log(counts / len(x)) - (weights * means).sum(axis=1) / 2


def _logistic(x: Floats, y: Ints) -> tuple[Floats, Floats]:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - an extra

    classifier = LogisticRegression(C=1.0, max_iter=2000).fit(x, y)
    weights, bias = classifier.coef_, classifier.intercept_
    if len(weights) == 1:  # two outcomes: of the second, relative to the first
        return np.concatenate([-weights, 0 * weights]), np.concatenate([-bias, 0 * bias])
    return weights, bias
