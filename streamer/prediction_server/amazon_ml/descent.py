"""Stochastic gradient descent for linear models with logistic, multinomial or squared loss. Pure.

Steps are scaled for each weight by the gradients that it has had (AdaGrad), and the weights are the
mean of those in the second half of the passes. Both make the result insensitive to the scale of the
columns and to the order of the records.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from scipy import sparse

from streamer.arrays import Floats

RATE: Final = 0.05
MOST_ROWS: Final = 32
"""Records of a step; fewer for small data, so that each pass has some hundred steps."""
STEPS: Final = 200

Batch = tuple[sparse.csr_matrix | Floats, Floats, Floats]
"""Encoded records (n, width), their targets (n, scores), and their weights (n,)."""

Link = Callable[[Floats], Floats]
"""Turns sums (n, scores) into predictions (n, scores)."""


def descend(
    read: Callable[[], Iterator[Batch]],
    count: int,
    shape: tuple[int, int],
    link: Link,
    passes: int,
    l1: float,
    l2: float,
) -> tuple[Floats, Floats]:
    """Return the weights (width, scores) and intercepts (scores,).

    Args:
        read: yields the records, once for each pass.
        count: number of records.
        shape: width of an encoded record, and number of scores.
        link: makes predictions of sums; the loss belongs to it, so that its gradient is the
            prediction minus the target.
        passes: how often the records are read.
        l1: coefficient of the L1 norm of the weights.
        l2: coefficient of the L2 norm of the weights.
    """
    rows = max(1, min(MOST_ROWS, count // STEPS))
    weights, intercepts = np.zeros(shape), np.zeros(shape[1])
    squares, intercept_squares = np.full(shape, 1e-8), np.full(shape[1], 1e-8)
    weight_sum, intercept_sum, summed = np.zeros(shape), np.zeros(shape[1]), 0
    for done in range(passes):
        for records, targets, shares in _cut(read(), rows):
            error = (link(records @ weights + intercepts) - targets) * shares[:, None]
            error /= len(targets)
            gradient = records.T @ error + l2 * weights + l1 * np.sign(weights)
            squares += gradient**2
            weights -= RATE * gradient / np.sqrt(squares)
            step = error.sum(axis=0)
            intercept_squares += step**2
            intercepts -= RATE * step / np.sqrt(intercept_squares)
            if done >= passes // 2:
                weight_sum += weights
                intercept_sum += intercepts
                summed += 1
    return weight_sum / summed, intercept_sum / summed


def soften(sums: Floats) -> Floats:
    """Return the probabilities (n, classes) of classes that exclude each other."""
    powers: Floats = np.exp(sums - sums.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def squash(sums: Floats) -> Floats:
    """Return the probability of a class for its log-odds."""
    odds: Floats = 1 / (1 + np.exp(-np.clip(sums, -500, 500)))
    return odds


def keep(sums: Floats) -> Floats:
    """Return the sums themselves, for regression."""
    return sums


def _cut(batches: Iterator[Batch], rows: int) -> Iterator[Batch]:
    for records, targets, shares in batches:
        for start in range(0, len(targets), rows):
            part = slice(start, start + rows)
            yield records[part], targets[part], shares[part]
