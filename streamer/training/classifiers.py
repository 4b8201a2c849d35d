"""Fits the classifiers of a model: linear ones for all nodes, and boosted trees for some."""

from dataclasses import dataclass

from streamer.arrays import Bools, Floats
from streamer.datasets.labelled_windows import LabelledWindows
from streamer.model.boosted_trees import BoostedTrees
from streamer.model.class_tree import ClassTree
from streamer.training.boosting import fit_trees
from streamer.training.calibration import Outputs
from streamer.training.linear_classifiers import (
    Algorithm,
    LinearClassifiers,
    fit_linear_classifiers,
)


@dataclass(frozen=True, slots=True)
class Classifiers:
    """The classifiers of all nodes, before calibration; without trees, `trees` is None."""

    linear: LinearClassifiers
    trees: BoostedTrees | None

    @property
    def division(self) -> ClassTree:
        """The nodes and their outcomes."""
        return self.linear.division

    def outputs(self, features: Floats) -> Outputs:
        """Return what they say of windows (n, features)."""
        values = None if self.trees is None else self.trees.values(features)
        return Outputs(self.linear.logits(features), values)


def fit_classifiers(
    windows: LabelledWindows, rows: Bools, activities: tuple[str, ...], algorithm: Algorithm
) -> Classifiers:
    """Fit classifiers to the windows at these rows (mask of all windows).

    All of these windows are labelled, and every class occurs among them.

    Raises:
        ModelError: what training needs is not installed.
    """
    linear = fit_linear_classifiers(windows, rows, activities, algorithm)
    boosted = algorithm == "blend"
    trees = fit_trees(windows, rows, activities, linear.division) if boosted else None
    return Classifiers(linear, trees)
