"""Fits boosted trees to the nodes that separate gaits, in addition to the linear classifiers.

LightGBM learns them. It is well kept, it gives the same trees for the same data, and its JSON dump
of a model is documented; the arrays of scikit-learn's trees of this kind are private.
A worker evaluates the trees by itself (`streamer.model.boosted_trees`): it needs no library for
that, and the bits are its own.
"""

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from streamer.arrays import Bools, Floats, Ints, QuarterInts
from streamer.contracts.activities import is_movement
from streamer.datasets.labelled_windows import LabelledWindows
from streamer.errors import ModelError
from streamer.model.boosted_trees import UNIT, BoostedTrees
from streamer.model.card import Boosting
from streamer.model.class_tree import ClassTree, Outcomes
from streamer.training.class_hierarchy import POSTURES
from streamer.training.linear_classifiers import find_outcomes, find_positions

DEPTH = 4
ROUNDS = 80
"""Rounds of boosting of a node. Each adds a tree for every outcome."""
COPIES = 3
"""Trees learn from so many varied copies of a recording at most. More made them no better."""
_PARAMETERS = {
    "objective": "multiclass",
    "max_depth": DEPTH,
    "num_leaves": 2**DEPTH,
    "learning_rate": 0.1,
    "feature_fraction": 0.2,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "min_data_in_leaf": 20,
    "lambda_l2": 1.0,
    "max_bin": 63,
    "deterministic": True,
    "force_col_wise": True,
    "seed": 0,
    # On a busy machine the threads of OpenMP wait for each other most of the time.
    "num_threads": 1,
    "verbosity": -1,
}


def count_rounds(division: ClassTree, activities: tuple[str, ...]) -> tuple[int, ...]:
    """Return the rounds of boosting of each node.

    A node has trees if it divides single activities that are not all postures. Linear classifiers
    are enough for movements between postures and for groups of activities. Of postures, trees learn
    how the phones of the training data lie, and are wrong about phones in other orientations.
    """
    return tuple(ROUNDS if _is_boosted(node, activities) else 0 for node in division.nodes)


def _is_boosted(outcomes: Outcomes, activities: tuple[str, ...]) -> bool:
    single = [activities[outcome[0]] for outcome in outcomes if len(outcome) == 1]
    easy = all(map(is_movement, single)) or set(single) <= set(POSTURES)
    return len(single) == len(outcomes) and not easy


def fit_trees(
    windows: LabelledWindows, rows: Bools, activities: tuple[str, ...], division: ClassTree
) -> BoostedTrees | None:
    """Fit trees to the windows at these rows (mask of all windows).

    Returns:
        The trees of all nodes; None if no node has any.

    Raises:
        ModelError: LightGBM is not installed, or a library that it needs.
    """
    rows = rows & (windows.copies <= COPIES)
    classes = find_positions(windows.truths, activities)
    parts, outcomes_of_trees, first = [], [], 0
    for outcomes, rounds in zip(division.nodes, count_rounds(division, activities), strict=True):
        if rounds:
            which = np.where(rows, find_outcomes(classes, outcomes), -1)
            inside = which >= 0
            parts.append(_fit_node(windows.features[inside], which[inside], rounds))
            outcomes_of_trees += [*range(first, first + len(outcomes))] * rounds
        first += len(outcomes)
    if not parts:
        return None
    features, thresholds, leaves = (np.concatenate(each) for each in zip(*parts, strict=True))
    return BoostedTrees(
        features.astype(np.uint16),
        thresholds.astype(np.float32),
        round_leaves(leaves),
        np.array(outcomes_of_trees),
        division.outcomes,
    )


def describe_boosting(
    division: ClassTree, activities: tuple[str, ...], factors: tuple[float, ...]
) -> Boosting:
    """Return what the card says about trees that are multiplied by the factor of their node."""
    return Boosting(DEPTH, count_rounds(division, activities), factors)


def scale_trees(trees: BoostedTrees, factors: Floats) -> BoostedTrees:
    """Return trees whose leaves are multiplied by the factor (outcomes,) of their outcome."""
    leaves = trees.leaves * UNIT * factors[trees.outcomes][:, None]
    return replace(trees, leaves=round_leaves(leaves))


def round_leaves(values: Floats) -> QuarterInts:
    """Return values of leaves as whole multiples of `UNIT`, within the bounds of 16 bits."""
    limits = np.iinfo(np.int16)
    rounded: QuarterInts = np.clip(np.rint(values / UNIT), limits.min, limits.max).astype(np.int16)
    return rounded


def _fit_node(features: Floats, which: Ints, rounds: int) -> tuple[Ints, Floats, Floats]:
    """Return features, thresholds and leaves of the trees of a node."""
    lightgbm = _import_lightgbm()
    data = lightgbm.Dataset(features, which)
    parameters: dict[str, Any] = _PARAMETERS | {"num_class": int(which.max()) + 1}
    learned = lightgbm.train(parameters, data, rounds).dump_model()["tree_info"]
    # LightGBM stops early when nothing is left to learn; then trees are left that add 0.
    trees, splits = rounds * parameters["num_class"], 2**DEPTH - 1
    compared = np.zeros((trees, splits), np.int64)
    # Below an early leaf, no feature is greater than the threshold.
    thresholds = np.full((trees, splits), np.finfo(np.float32).max, np.float64)
    leaves = np.zeros((trees, splits + 1))
    for tree, info in enumerate(learned):
        _fill(info["tree_structure"], 0, compared[tree], thresholds[tree], leaves[tree])
    return compared, thresholds, leaves


def _import_lightgbm() -> ModuleType:
    try:
        import lightgbm  # noqa: PLC0415 - an extra
    except ImportError:
        raise ModelError(
            "training needs LightGBM, which is not installed: pip install 'streamer[train]', or "
            "train with --algorithm tree"
        ) from None
    except OSError as error:
        raise ModelError(
            f"LightGBM cannot be loaded: {error}; install OpenMP (libgomp1 on Debian, libomp on "
            "macOS), or train with --algorithm tree"
        ) from None
    return lightgbm


def _fill(
    node: dict[str, Any], at: int, compared: Ints, thresholds: Floats, leaves: Floats
) -> None:
    """Write what is below a node of LightGBM's dump into arrays, from this position on."""
    if at >= len(compared):
        leaves[at - len(compared)] = node["leaf_value"]
        return
    if "leaf_value" in node:
        left = right = node
    else:
        compared[at], thresholds[at] = node["split_feature"], node["threshold"]
        left, right = node["left_child"], node["right_child"]
    _fill(left, 2 * at + 1, compared, thresholds, leaves)
    _fill(right, 2 * at + 2, compared, thresholds, leaves)
