"""Smoothing of labels: the forward algorithm of a hidden Markov model.

The classes of the model are the hidden states. The transition probabilities say that people mostly
continue their activity, and that some activities cannot follow others: nobody walks directly after
sitting. The scores of a window give its likelihoods::

    belief, one window ago --transitions--> prior --x likelihoods--> belief now

There are three kinds of classes: movements, the activities between which the model knows movements
(postures), and all others (gaits). The likelihood of a class is the score of its kind, times the
share of the class in this score to the power of a trust. The trust is smallest for postures. The
windows of one posture are almost equal, so an error about it is repeated in all of them, but the
movement that led to it is seldom missed.

Beliefs are rounded, and the recursion continues from the rounded numbers. So a worker that reads
the belief that was published with the last window continues with the same bytes.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.compiled import compiled_together
from streamer.contracts.activities import GAITS, is_movement, name_movement, split_movement

STAY: Final = 0.8
"""Probability that an activity continues from one window to the next."""
STAY_MOVING: Final = 0.5
"""Probability that a movement between two activities continues."""
IMPOSSIBLE: Final = 0.01
"""Share of the changes that is given to impossible ones: beliefs must recover from errors."""
TRUST: Final = 1 / 1.5
"""Exponent of the share of a class in the score of its kind: windows overlap by half, so they are
not independent."""
TRUST_IN_POSTURES: Final = 1 / 3
"""The same for postures that the model knows movements between."""
FLOOR: Final = 1e-3
"""Lowest factor of a likelihood: no window rules out a class."""
DECIMALS: Final = 6
_SCALE: Final = 10.0**DECIMALS

_OFF_ONES_FEET = frozenset({"sitting", "laying"})


class ForwardFilter:
    """Computes the belief about the activity of a device, window by window."""

    def __init__(self, activities: Sequence[str]) -> None:
        """Make the filter of a model whose classes have these activities and movements."""
        self._moves = transitions(activities)
        # Without a previous belief all classes are equally probable.
        self._afresh = np.full_like(self._moves, 1 / len(activities))
        self._anything = np.zeros(len(activities))
        self._anything[0] = 1
        self._kinds = find_kinds(activities)

    def likelihoods(self, scores: Floats) -> Floats:
        """Return the likelihoods (n, classes) of windows with these scores (n, classes)."""
        # The compiled step accepts only contiguous float64.
        likelihoods = np.empty(scores.shape)
        for members, trust in self._kinds:
            own = scores[:, members]
            # `cumsum` adds one by one, so the bits do not depend on the other windows.
            score = np.maximum(np.cumsum(own, axis=1)[:, -1:], FLOOR)
            likelihoods[:, members] = score * np.maximum(own / score, FLOOR) ** trust
        return likelihoods

    def update(self, before: Floats | None, likelihoods: Floats) -> Floats:
        """Return the belief (classes,) after a window, rounded.

        Args:
            before: (classes,), the belief after the previous window; None without one.
            likelihoods: (classes,) of the window.
        """
        belief = np.empty(len(likelihoods))
        if before is None:
            _step(self._afresh, self._anything, likelihoods, belief)
        else:
            _step(self._moves, before, likelihoods, belief)
        return belief


@compiled_together
def _step(moves: Floats, before: Floats, weights: Floats, belief: Floats) -> None:
    total = 0.0
    for there in range(len(belief)):
        prior = 0.0
        for here in range(len(before)):
            prior += before[here] * moves[here, there]
        belief[there] = prior * weights[there]
        total += belief[there]
    for there in range(len(belief)):
        belief[there] = np.rint(belief[there] / total * _SCALE) / _SCALE


@cache
def find_filter(activities: tuple[str, ...]) -> ForwardFilter:
    """Return the filter for the classes of a model."""
    return ForwardFilter(activities)


def find_kinds(activities: Sequence[str]) -> list[tuple[Ints, float]]:
    """Return the positions of the classes of each kind that occurs, and the trust in them."""
    movements = {name for name in activities if is_movement(name)}
    postures = {end for name in movements for end in split_movement(name)} - movements
    others = {*activities} - movements - postures
    kinds = ((movements, TRUST), (postures, TRUST_IN_POSTURES), (others, TRUST))
    members = [([i for i, name in enumerate(activities) if name in kind], t) for kind, t in kinds]
    return [(np.array(positions), trust) for positions, trust in members if positions]


def transitions(activities: Sequence[str]) -> Floats:
    """Return the probabilities (classes, classes) of changing from one class to another in a hop.

    If the model has a class for the movement between two activities, the change leads through it.
    """
    count = len(activities)
    moves = np.zeros((count, count))
    for i, here in enumerate(activities):
        stay = STAY_MOVING if is_movement(here) else STAY
        others = [j for j in range(count) if j != i]
        possible = [j for j in others if _leads_to(here, activities[j], activities)]
        impossible = [j for j in others if j not in possible]
        lost = IMPOSSIBLE if possible and impossible else float(not possible)
        for targets, share in ((possible, 1 - lost), (impossible, lost)):
            if targets:
                moves[i, targets] = (1 - stay) * share / len(targets)
        moves[i, i] = 1 - moves[i].sum()
    return moves


def _leads_to(here: str, there: str, activities: Sequence[str]) -> bool:
    if is_movement(here):
        return there == split_movement(here)[1]
    if is_movement(there):
        return here == split_movement(there)[0]
    off_ones_feet = {here, there} & set(GAITS) and {here, there} & _OFF_ONES_FEET
    return not off_ones_feet and name_movement(here, there) not in activities
