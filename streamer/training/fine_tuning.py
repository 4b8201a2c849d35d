"""Fits the linear classifiers of a model again to new windows, without forgetting the old ones.

The weights start at those of the model. They minimise the mean loss of new windows, plus the mean
loss of windows that the model has learned from before, plus a penalty on the squares of all
changes. Boosted trees, bounds and the tree of classes stay as they are, so this takes seconds where
training takes minutes.
"""

from dataclasses import replace
from typing import Final

import msgspec
import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from streamer.arrays import Bools, Floats, Ints
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows
from streamer.model.artifact import DECILES, Model
from streamer.model.class_tree import ClassTree
from streamer.training.familiarity import fit_familiarity
from streamer.training.linear_classifiers import (
    CLIP,
    find_outcomes,
    find_positions,
    limit_to_one_thread,
)

PENALTY: Final = 0.1
"""Weight of the squares of the changes, against the mean loss of a window, where a feature counts
in its standard deviations."""
OF_NEW: Final = 0.3
"""Weight of the new windows; the old ones have the rest."""
STEPS: Final = 40
"""Steps of the search for each node. What is left then hardly matters."""


def fine_tune(model: Model, new: LabelledWindows, old: LabelledWindows, model_id: str) -> Model:
    """Return a model that has learned from new windows.

    The same windows give the same model on the same machine.

    Args:
        model: the parent.
        new: labelled windows; those of activities that the model does not know do not count.
        old: windows that the parent has learned from, or like them, without varied copies.
        model_id: the name of the new model.

    Raises:
        ModelError: what training needs is not installed.
    """
    activities = model.card.activities
    both = LabelledWindows.joined([new, old])
    classes = find_positions(both.truths, activities)
    is_new = np.arange(len(both)) < len(new)
    nodes = model.card.nodes
    division = ClassTree(
        [node.outcomes for node in nodes], [node.outcome_of_logit for node in nodes]
    )
    middle = (model.high + model.low) / 2
    spread = (model.high - model.low) / (2 * CLIP)
    inverse = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    weights, bias = model.weights.copy(), model.bias.copy()
    with limit_to_one_thread():
        clipped = np.clip(both.features, model.low, model.high)
        logits = clipped @ model.weights.T + model.bias
        standard = (clipped - middle) * inverse
        values = None if model.trees is None else model.trees.values(both.features)
        first = 0
        for number, node in enumerate(nodes):
            rows = slice(first, first + len(node.outcome_of_logit) - 1)
            first = rows.stop
            which = find_outcomes(classes, node.outcomes)
            inside = which >= 0
            if not (inside & is_new).any():
                continue
            start = division.select_logits(number, logits[inside])
            if values is not None:
                start = start + division.select_values(number, values[inside])
            change, shift = _fit_change(
                standard[inside],
                start,
                which[inside],
                np.array(node.outcome_of_logit),
                _weigh(is_new[inside], which[inside]),
            )
            weights[rows] += change * inverse
            bias[rows] += shift - (change * (inverse * middle)).sum(axis=1)
    return replace_parts(model, both, weights, bias, model_id)


def replace_parts(
    model: Model, windows: LabelledWindows, weights: Floats, bias: Floats, model_id: str
) -> Model:
    """Return a model with these weights. Its reference for strange windows is that of the windows.

    Args:
        model: the parent.
        windows: all windows that the new model has learned from.
        weights: (rows, features).
        bias: (rows,).
        model_id: the name of the new model.
    """
    labelled = windows.of(windows.truths != UNLABELLED)
    subjects = sorted({*model.card.training.subjects, *labelled.subjects.tolist()})
    training = msgspec.structs.replace(model.card.training, subjects=tuple(subjects))
    return replace(
        model,
        card=msgspec.structs.replace(model.card, id=model_id, training=training),
        weights=weights,
        bias=bias,
        deciles=np.quantile(labelled.features, np.arange(1, DECILES + 1) / 10, axis=0).T,
        familiarity=None if model.familiarity is None else fit_familiarity(labelled),
    )


def _weigh(is_new: Bools, which: Ints) -> Floats:
    """Return the weight (n,) of windows of one node; they add up to 1.

    New windows have `OF_NEW` of the weight, and of these each outcome has the same: people walk
    more than they climb stairs.
    """
    weights = np.zeros(len(which))
    for group, share in ((is_new, OF_NEW), (~is_new, 1 - OF_NEW)):
        outcomes = np.unique(which[group])
        for outcome in outcomes:
            rows = group & (which == outcome)
            weights[rows] = share / len(outcomes) / rows.sum()
    weights /= weights.sum()
    return weights


def _fit_change(
    x: Floats, start: Floats, which: Ints, outcome_of_logit: Ints, weight: Floats
) -> tuple[Floats, Floats]:
    """Return the change of the weights (rows, features) and of the bias (rows,) of one node.

    Args:
        x: (n, features), in standard deviations.
        start: (n, logits) as the parent has them.
        which: (n,), the true outcome.
        outcome_of_logit: (logits,).
        weight: (n,).
    """
    rows, features = start.shape[1] - 1, x.shape[1]
    is_true = outcome_of_logit == which[:, None]
    minus_infinity = np.where(is_true, 0.0, -np.inf)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        change, shift = parameters[:-rows].reshape(rows, features), parameters[-rows:]
        logits = start.copy()
        logits[:, :-1] += x @ change.T + shift
        shares = log_softmax(logits, axis=1)
        likelihood = logsumexp(shares + minus_infinity, axis=1)
        value = PENALTY / 2 * float(parameters @ parameters) - float(weight @ likelihood)
        # Towards all logits that are there, away from those of the true outcome.
        slope = softmax(logits, axis=1) - np.exp(shares + minus_infinity - likelihood[:, None])
        slope = (slope * weight[:, None])[:, :-1]
        gradient = np.concatenate([(slope.T @ x).ravel(), slope.sum(axis=0)])
        return value, gradient + PENALTY * parameters

    found: Floats = minimize(
        loss,
        np.zeros(rows * features + rows),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": STEPS},
    ).x
    return found[:-rows].reshape(rows, features), found[-rows:]
