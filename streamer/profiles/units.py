"""Units and axes of other devices, converted to those of this program. Pure functions.

Acceleration is in g with gravity, rotation in rad/s, time in microseconds. At rest the axis that
points up measures +1 g.
"""

import math
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from streamer.arrays import Floats

STANDARD_GRAVITY: Final = 9.80665
"""Metres per second squared in one g."""

ACC_UNITS: Final = {"g": 1.0, "mg": 1e-3, "m/s2": 1 / STANDARD_GRAVITY}
"""How many g each unit of acceleration is."""
GYRO_UNITS: Final = {"rad/s": 1.0, "deg/s": math.pi / 180, "mdps": math.pi / 180_000}
"""How many rad/s each unit of rotation is; `mdps` is thousandths of a degree per second."""
TIME_UNITS: Final = {"s": 1_000_000.0, "ms": 1000.0, "us": 1.0, "ns": 1e-3}
"""How many microseconds each unit of time is."""

EPOCHS_US: Final = {"epoch": 0, "2001": 978_307_200_000_000}
"""When times begin to count, in microseconds since 1970."""

_AXIS = re.compile(r"-?[xyz]")


def is_axis(text: str) -> bool:
    """Whether a text names an axis and its sign: ``x``, ``-y``."""
    return _AXIS.fullmatch(text) is not None


def turn_axes(values: Floats, axes: Sequence[str]) -> Floats:
    """Return the columns (n, 3) of a device in the order and with the signs of our axes.

    Args:
        values: (n, 3), x y z of the device.
        axes: for our x, y and z the axis of the device, such as ``("-y", "x", "z")``.
    """
    columns = ["xyz".index(axis[-1]) for axis in axes]
    signs = np.array([-1.0 if axis.startswith("-") else 1.0 for axis in axes])
    turned: Floats = values[:, columns] * signs
    return turned
