"""Boosted decision trees in arrays. All trees are complete binary trees of the same depth.

The splits of a tree are numbered level by level: after split `i` comes split `2 i + 1`, or split
`2 i + 2` if the feature is greater than the threshold. The number after the last level, less the
number of splits, is that of a leaf. Leaves are whole multiples of `UNIT`, so that sums of them are
exact, in any order.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from streamer.arrays import Floats, HalfFloats, Ints, QuarterInts, QuarterWords
from streamer.compiled import compiled_together

UNIT: Final = 2.0**-12
"""Leaves are multiples of this number, between -8 and 8."""


@dataclass(frozen=True, eq=False)
class BoostedTrees:
    """Trees, each of which adds a leaf to the value of one outcome.

    Attributes:
        features: (trees, splits), the feature that each split compares.
        thresholds: (trees, splits), what the feature is compared with.
        leaves: (trees, splits + 1), in units of `UNIT`.
        outcomes: (trees,), the outcome of each tree, counted through all nodes.
        width: number of outcomes of all nodes.
    """

    features: QuarterWords
    thresholds: HalfFloats
    leaves: QuarterInts
    outcomes: Ints
    width: int

    def values(self, features: Floats) -> Floats:
        """Return the values (n, width) of windows (n, features), 0 for outcomes without trees.

        The result for a row does not depend on the other rows, to the last bit.
        """
        units = np.zeros((len(features), self.width), np.int64)
        rows = np.ascontiguousarray(features)
        _add_leaves(rows, self.features, self.thresholds, self.leaves, self.outcomes, units)
        return units.astype(np.float64) * UNIT


@compiled_together
def _add_leaves(
    rows: Floats,
    features: QuarterWords,
    thresholds: HalfFloats,
    leaves: QuarterInts,
    outcomes: Ints,
    units: Ints,
) -> None:
    # Indices are unsigned: negative ones would count from the end, and to check that doubles the
    # time.
    splits = np.uint64(features.shape[1])
    for row in range(len(rows)):
        for tree in range(len(features)):
            at = np.uint64(0)
            while at < splits:
                greater = rows[row, features[tree, at]] > thresholds[tree, at]
                at = np.uint64(2) * at + np.uint64(1) + np.uint64(greater)
            units[row, outcomes[tree]] += leaves[tree, at - splits]
