"""Decides about the activity of a window from the probabilities of the classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import numpy as np

from streamer.arrays import Floats
from streamer.contracts.activities import UNKNOWN, is_movement
from streamer.labels.smoothing import DECIMALS

MOVING: Final = 0.5
"""Probability of all movements together from which a window counts as a movement."""


class Decision(NamedTuple):
    """The decision about a window.

    Attributes:
        likeliest: the most probable activity.
        moving: whether the window is a movement between two activities.
        confidence: probability of any movement if it is one, or else of the likeliest activity.
    """

    likeliest: str
    moving: bool
    confidence: float

    @property
    def activity(self) -> str:
        """The activity to publish; `unknown` during a movement."""
        return UNKNOWN if self.moving else self.likeliest


@dataclass(frozen=True, slots=True)
class _Classes:
    """The classes of each activity, by their positions in the scores."""

    names: tuple[str, ...]
    columns: tuple[list[int], ...]
    movements: list[int]


def decide(shares: Floats, activities: tuple[str, ...]) -> list[Decision]:
    """Find the likeliest activity of each window.

    Args:
        shares: (n, classes), probabilities of the classes.
        activities: activity or movement of each class; classes may share one.
    """
    classes = _classes(activities)
    groups = [*classes.columns, classes.movements]
    # Rounded before the comparison, so that the last bit of a sum cannot decide.
    sums = np.round([shares[:, columns].sum(axis=1) for columns in groups], DECIMALS).T
    best, moves = np.argmax(sums[:, :-1], axis=1), sums[:, -1]
    moving = moves >= MOVING
    confidence = np.where(moving, moves, sums[np.arange(len(sums)), best])
    likeliest = map(classes.names.__getitem__, best.tolist())
    return list(map(Decision, likeliest, moving.tolist(), confidence.tolist()))


def drop_movements(activities: Sequence[str]) -> tuple[str, ...]:
    """Return the activities of a model without the movements, each once."""
    return tuple(dict.fromkeys(name for name in activities if not is_movement(name)))


@cache
def _classes(activities: tuple[str, ...]) -> _Classes:
    names = drop_movements(activities)
    return _Classes(
        names,
        tuple([i for i, name in enumerate(activities) if name == wanted] for wanted in names),
        [i for i, name in enumerate(activities) if is_movement(name)],
    )
