"""What is published for a window, given how likely each class of the model is. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import numpy as np

from streamer.arrays import Floats
from streamer.contracts.activities import UNKNOWN, is_movement
from streamer.labels.smoothing import DECIMALS

MOVING: Final = 0.5
"""Share of the movements from which on somebody is between two activities."""


class Decision(NamedTuple):
    """What a window shows.

    Attributes:
        likeliest: of the activities.
        moving: whether somebody moves from one activity to another.
        confidence: how likely that is: any movement, or else the likeliest activity.
    """

    likeliest: str
    moving: bool
    confidence: float

    @property
    def activity(self) -> str:
        """What is said of the window, `unknown` during a movement."""
        return UNKNOWN if self.moving else self.likeliest


@dataclass(frozen=True, slots=True)
class _Classes:
    """Which of a model's classes mean the same."""

    names: tuple[str, ...]
    columns: tuple[list[int], ...]
    movements: list[int]


def decide(shares: Floats, activities: tuple[str, ...]) -> list[Decision]:
    """Find the likeliest activity of each window.

    Args:
        shares: (n, classes), how likely each class is.
        activities: what the classes stand for; several may stand for the same.
    """
    classes = _classes(activities)
    groups = [*classes.columns, classes.movements]
    # Rounded before they are compared, so that no last bit of a sum decides.
    sums = np.round([shares[:, columns].sum(axis=1) for columns in groups], DECIMALS).T
    best = np.argmax(sums[:, :-1], axis=1)
    return [
        Decision(classes.names[at], moves >= MOVING, moves if moves >= MOVING else likely)
        for at, likely, moves in zip(
            best.tolist(),
            sums[np.arange(len(sums)), best].tolist(),
            sums[:, -1].tolist(),
            strict=True,
        )
    ]


def drop_movements(activities: Sequence[str]) -> tuple[str, ...]:
    """Those of a model's activities that are no movements, each once."""
    return tuple(dict.fromkeys(name for name in activities if not is_movement(name)))


@cache
def _classes(activities: tuple[str, ...]) -> _Classes:
    names = drop_movements(activities)
    return _Classes(
        names,
        tuple([i for i, name in enumerate(activities) if name == wanted] for wanted in names),
        [i for i, name in enumerate(activities) if is_movement(name)],
    )
