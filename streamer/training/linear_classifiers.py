"""Fits the nodes of a tree of linear classifiers; the same windows give the same bytes."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np
from scipy.linalg import solve
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from streamer.arrays import Floats, Ints, Strings
from streamer.datasets.labelled_windows import LabelledWindows
from streamer.errors import ModelError
from streamer.model.class_tree import ClassTree, Outcomes
from streamer.training.class_hierarchy import divide_classes, single_division

CLIP = 5.0
"""Standard deviations beyond which a feature is cut off."""
SHRINKAGE = 1e-4
"""Share of a scaled identity in a covariance."""

PEOPLE = 0.5
"""Weight of how people differ on average, among all that differs within an outcome: there are so
few of them that the directions in which they differ are mostly chance."""

Algorithm = Literal["tree", "lda", "logistic"]
ALGORITHMS: dict[Algorithm, str] = {
    "tree": "tree of linear discriminants, each with its own covariance, shrinkage 1e-4",
    "lda": "linear discriminant analysis, shrinkage 1e-4",
    "logistic": "multinomial logistic regression, L2, C = 1",
}


@dataclass(frozen=True, slots=True)
class LinearClassifiers:
    """Linear classifiers of nodes, before their temperatures.

    Attributes:
        division: what the nodes' outcomes are.
        low, high: (features,) what features are clipped to.
        weights: (rows, features), of all nodes' outcomes relative to each node's last.
        bias: (rows,).
    """

    division: ClassTree
    low: Floats
    high: Floats
    weights: Floats
    bias: Floats

    def logits(self, features: Floats) -> Floats:
        """Of windows (n, features): (n, rows)."""
        with limit_to_one_thread():
            logits: Floats = np.clip(features, self.low, self.high) @ self.weights.T + self.bias
        return logits


def limit_to_one_thread() -> AbstractContextManager[object]:
    """Matrix products on one thread, or their last bits depend on the number of cores.

    Raises:
        ModelError: what training needs is not installed.
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


def divide_for(algorithm: Algorithm, activities: tuple[str, ...]) -> ClassTree:
    """How an algorithm divides classes."""
    return ClassTree(
        divide_classes(activities) if algorithm == "tree" else single_division(activities)
    )


def fit_classifiers(
    windows: LabelledWindows, activities: tuple[str, ...], algorithm: Algorithm
) -> LinearClassifiers:
    """Fit a classifier to windows, all of them labelled and every class among them.

    Raises:
        ModelError: what training needs is not installed.
    """
    division = divide_for(algorithm, activities)
    classes = class_positions(windows.truths, activities)
    with limit_to_one_thread():
        mean, spread = windows.features.mean(axis=0), windows.features.std(axis=0)
        spread[spread == 0] = 1
        x = windows.features - mean
        x /= spread
        np.clip(x, -CLIP, CLIP, out=x)
        parts = []
        for outcomes in division.nodes:
            which = outcomes_of_classes(classes, outcomes)
            rows = which >= 0
            y = which[rows]
            some = x if rows.all() else x[rows]
            own, bias = (
                _logistic(some, y)
                if algorithm == "logistic"
                else _discriminant(some, y, windows.subjects[rows])
            )
            parts.append((own[:-1] - own[-1], bias[:-1] - bias[-1]))
    weights = np.concatenate([weights for weights, _ in parts]) / spread
    # Folded: w . (x - mean) / spread + b  =  (w / spread) . x + (b - (w / spread) . mean)
    bias = np.concatenate([bias for _, bias in parts]) - (weights * mean).sum(axis=1)
    return LinearClassifiers(division, mean - CLIP * spread, mean + CLIP * spread, weights, bias)


def class_positions(truths: Strings, activities: tuple[str, ...]) -> Ints:
    """The class of each window, -1 where it is none of these."""
    number = {activity: i for i, activity in enumerate(activities)}
    return np.array([number.get(truth, -1) for truth in truths.tolist()], np.int64)


def outcomes_of_classes(classes: Ints, outcomes: Outcomes) -> Ints:
    """The outcome of a division that each class belongs to, -1 for those that it has not."""
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
    scatter = x.T @ x - (means.T * counts) @ means - (1 - PEOPLE) * (apart.T @ apart)
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


def fit_temperature(logits: Floats, outcomes: Ints) -> float:
    """Find by what to divide logits (n, outcomes) so that the true ones are most likely."""

    def surprise(log_temperature: float) -> float:
        tempered = logits / np.exp(log_temperature)
        likelihood = tempered[np.arange(len(outcomes)), outcomes] - logsumexp(tempered, axis=1)
        return float(-likelihood.mean())

    found = minimize_scalar(surprise, bounds=(-3, 5), method="bounded")
    # Rounded, so that the search's last bits are not the model's.
    return round(float(np.exp(found.x)), 3)
