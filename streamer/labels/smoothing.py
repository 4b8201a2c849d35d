"""Successive windows of a device belong together: a forward filter over what somebody can do.

The classes of the model are hidden states. People mostly go on with what they do, and what they do
next is limited: no one walks out of a chair without standing up. What a window's scores say is
weighed against that::

    belief, one window ago --moves--> prior --x scores ^ (1 / 1.5)--> belief now

Beliefs are rounded, and the recursion goes on from the rounded numbers: whoever reads the belief
that was published with the last window can go on from there, to the same bytes.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np

from streamer.arrays import Floats
from streamer.compiled import compiled_together
from streamer.contracts.activities import is_movement, name_movement, split_movement

STAY: Final = 0.8
"""Chance that an activity goes on from one window to the next."""
STAY_MOVING: Final = 0.5
"""The same of a movement between two."""
IMPOSSIBLE: Final = 0.05
"""Share of the changes that go where they cannot: models err, and beliefs must recover."""
TRUST: Final = 1 / 1.5
"""Exponent of a window's scores: windows overlap by half, so two say less than twice as much."""
FLOOR: Final = 1e-3
"""No window rules anything out."""
DECIMALS: Final = 6
_SCALE: Final = 10.0**DECIMALS

_WALKS = frozenset({"walking", "walking_upstairs", "walking_downstairs"})
_OFF_ONES_FEET = frozenset({"sitting", "laying"})


class ForwardFilter:
    """Beliefs about what somebody does, window by window."""

    def __init__(self, activities: Sequence[str]) -> None:
        """Set up the filter for classes that stand for these activities and movements."""
        self._moves = transitions(activities)
        # Whatever was believed before, what to expect afresh is the same.
        self._afresh = np.full_like(self._moves, 1 / len(activities))
        self._anything = np.zeros(len(activities))
        self._anything[0] = 1

    def weights(self, scores: Floats) -> Floats:
        """What windows' scores weigh against what was believed; both (n, classes)."""
        # Whoever scored them: there is a compiled step for arrays of this kind, and no other.
        return np.ascontiguousarray(np.maximum(scores, FLOOR) ** TRUST, np.float64)

    def after(self, before: Floats | None, weights: Floats) -> Floats:
        """The belief (classes,) after a window, rounded.

        Args:
            before: (classes,) after the window a hop ago, None for a device that starts afresh.
            weights: (classes,) of the window.
        """
        belief = np.empty(len(weights))
        if before is None:
            _step(self._afresh, self._anything, weights, belief)
        else:
            _step(self._moves, before, weights, belief)
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
    """The filter for a model's classes."""
    return ForwardFilter(activities)


def transitions(activities: Sequence[str]) -> Floats:
    """Chances (classes, classes) of going from one class to another within a hop.

    Where the model knows the movement between two activities, the way leads through it.
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
    off_ones_feet = {here, there} & _WALKS and {here, there} & _OFF_ONES_FEET
    return not off_ones_feet and name_movement(here, there) not in activities
