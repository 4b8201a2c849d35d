"""Windows that cannot be what the contract says: other units, gravity removed, a silent gyroscope.

The bounds are from 31,000 windows of 62 people with nine kinds of devices. In the units of the
contract the mean acceleration of a window was 0.44 to 1.56 g, and the root mean square of rotation
at most 8.9 rad/s. Without gravity 98% of windows are below the lower bound, in m/s2 all are above
the upper one; whoever walks is above the bound of rotation in degrees per second.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from streamer.arrays import Bools, Floats
from streamer.compiled import compiled_together
from streamer.features.window_shape import WINDOW
from streamer.stream.accounting import Skip
from streamer.stream.windows import ClosedWindows

LEAST_G: Final = 0.4
"""Acceleration that a window has at least on average: all sensors at rest measure 1 g."""

MOST_G: Final = 2.0
"""Acceleration that a window has at most on average."""

MOST_ROTATION: Final = 12.0
"""Root mean square of a window's rotation at most, in rad/s."""

_STILL: Final = 1e-9
"""A gyroscope that measures anything is not as still as this, in rad/s."""

_STANDARD_GRAVITY: Final = 9.80665

_LENGTH: Final = WINDOW.length


class Doubt(NamedTuple):
    """A window that is not labelled, and why."""

    device_id: str
    skip: Skip
    looks_like: str
    """What is sent, for counting: one of few texts."""
    detail: str
    """The same with the window's figures, and what to do."""


def find_doubts(windows: ClosedWindows, needs_gyroscope: bool = True) -> tuple[Bools, list[Doubt]]:
    """Look at windows before they are predicted.

    Args:
        windows: n of them.
        needs_gyroscope: whether the model cannot do without.

    Returns:
        (n,) which windows are good, and a doubt for each of the others, in their order.
    """
    acceleration, rotation = np.empty(len(windows)), np.empty(len(windows))
    _measure(windows.signals, acceleration, rotation)
    good = (acceleration >= LEAST_G) & (acceleration <= MOST_G)
    good &= ~windows.gyroscope | (rotation <= MOST_ROTATION) & (rotation > _STILL)
    if needs_gyroscope:
        good &= windows.gyroscope
    return good, [
        Doubt(
            windows.device_ids[i],
            *_describe(float(acceleration[i]), float(rotation[i]), bool(windows.gyroscope[i])),
        )
        for i in np.flatnonzero(~good).tolist()
    ]


@compiled_together
def _measure(signals: Floats, acceleration: Floats, rotation: Floats) -> None:
    """Measure windows, in one pass over their signals: NumPy takes ten times as long.

    Args:
        signals: (n, 9, length + 1).
        acceleration: (n,), filled in with the length of the mean acceleration, in g.
        rotation: (n,), filled in with the root mean square of the rotation, in rad/s.
    """
    for window in range(len(signals)):
        x = y = z = 0.0
        turn_x = turn_y = turn_z = 0.0
        for at in range(_LENGTH):
            x += signals[window, 0, at] + signals[window, 3, at]
            y += signals[window, 1, at] + signals[window, 4, at]
            z += signals[window, 2, at] + signals[window, 5, at]
            turn_x += signals[window, 6, at] ** 2
            turn_y += signals[window, 7, at] ** 2
            turn_z += signals[window, 8, at] ** 2
        acceleration[window] = math.sqrt(x * x + y * y + z * z) / _LENGTH
        rotation[window] = math.sqrt((turn_x + turn_y + turn_z) / _LENGTH)


def _describe(acceleration: float, rotation: float, gyroscope: bool) -> tuple[Skip, str, str]:
    """Say what a window looks like that is not good."""
    if not LEAST_G <= acceleration <= MOST_G:
        return Skip.IMPLAUSIBLE, *_describe_acceleration(acceleration)
    if not gyroscope:
        detail = "it sends no rotation; the model needs `gyro` in rad/s"
        return Skip.NO_GYROSCOPE, "no gyroscope", detail
    if rotation > MOST_ROTATION:
        detail = (
            f"its rotation looks like degrees per second: {rotation:.0f} on average; send rad/s, "
            "or name a profile with the unit"
        )
        return Skip.IMPLAUSIBLE, "rotation in deg/s", detail
    detail = "its rotation never changes; leave `gyro` out where there is no gyroscope"
    return Skip.IMPLAUSIBLE, "silent gyroscope", detail


def _describe_acceleration(average: float) -> tuple[str, str]:
    if average == 0:
        return "no acceleration", "it sends no acceleration; send `acc` in g"
    if average < LEAST_G:
        return "acceleration without gravity", (
            f"its acceleration looks like one without gravity: {average:.2f} g on average; send "
            "the total acceleration, or name a profile that adds gravity"
        )
    if LEAST_G < average / _STANDARD_GRAVITY < MOST_G:
        return "acceleration in m/s2", (
            f"its acceleration looks like m/s2: {average:.2f} on average; send g, or name a "
            "profile with the unit"
        )
    return "acceleration not in g", f"its acceleration is {average:.2f} on average, not about 1 g"
