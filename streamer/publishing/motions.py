"""What a phone at the waist measures during each activity, as one table.

Gravity, harmonics and their phases, and tremor are rounded averages over the people of the public
UCI HAR recordings; heel strikes, sway and the variety of people are set by hand so that windows
resemble real ones. Acceleration in g, rotation in rad/s; x points up, y sideways and z forward
when one stands.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streamer.contracts.readings import Axes


class Activity(StrEnum):
    """What synthetic people do."""

    WALKING = "walking"
    WALKING_UPSTAIRS = "walking_upstairs"
    WALKING_DOWNSTAIRS = "walking_downstairs"
    SITTING = "sitting"
    STANDING = "standing"
    LAYING = "laying"


Harmonics = tuple[float, float, float, float, float]
"""Amplitudes at the frequency of the stride (two steps) and at 2, 3, 4 and 6 times it."""


@dataclass(frozen=True, slots=True)
class Gait:
    """A periodic movement.

    Attributes:
        step_hz: the slowest and the fastest natural cadence.
        acc: amplitudes in x, y and z.
        lag: phases in x, y and z, in rad, of the harmonics that are the same for both feet: at
            2, 4 and 6 times the stride. The others depend on the person.
        gyro: amplitudes about x, y and z; the phases depend on the person.
        heel: the shock of a heel strike: acceleration x y z, rotation x y z.
    """

    step_hz: tuple[float, float]
    acc: tuple[Harmonics, Harmonics, Harmonics]
    lag: tuple[Axes, Axes, Axes]
    gyro: tuple[Harmonics, Harmonics, Harmonics]
    heel: tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Motion:
    """An activity.

    Attributes:
        gravity: its direction, approximately a unit vector.
        sway: standard deviation of the direction over time, in rad.
        tremor_acc: standard deviation of acceleration apart from sway and gait, x y z.
        tremor_gyro: the same for rotation.
        seconds: the shortest and the longest duration.
        variety: standard deviation of `gravity` between people, beyond how they wear the phone.
        gait: None if the person does not walk.
    """

    gravity: Axes
    sway: float
    tremor_acc: Axes
    tremor_gyro: Axes
    seconds: tuple[float, float]
    variety: Axes = (0.02, 0.04, 0.05)
    gait: Gait | None = None


MOTIONS: Final = {
    Activity.WALKING: Motion(
        gravity=(0.97, -0.19, -0.06),
        sway=0.02,
        tremor_acc=(0.070, 0.068, 0.052),
        tremor_gyro=(0.30, 0.22, 0.14),
        seconds=(10, 25),
        gait=Gait(
            step_hz=(1.60, 1.95),
            acc=(
                (0.03, 0.23, 0.09, 0.06, 0.08),
                (0.07, 0.14, 0.05, 0.06, 0.05),
                (0.07, 0.10, 0.03, 0.05, 0.04),
            ),
            lag=((0.0, 1.2, 0.9), (2.0, 1.7, 0.9), (1.8, 1.6, 0.9)),
            gyro=(
                (0.39, 0.08, 0.16, 0.06, 0.06),
                (0.27, 0.15, 0.33, 0.08, 0.08),
                (0.17, 0.14, 0.31, 0.05, 0.07),
            ),
            heel=(0.40, 0.30, 0.25, 0.5, 1.3, 0.6),
        ),
    ),
    Activity.WALKING_UPSTAIRS: Motion(
        gravity=(0.94, -0.28, -0.14),
        sway=0.03,
        tremor_acc=(0.085, 0.081, 0.058),
        tremor_gyro=(0.45, 0.28, 0.20),
        seconds=(10, 25),
        gait=Gait(
            step_hz=(1.50, 1.85),
            acc=(
                (0.05, 0.30, 0.03, 0.08, 0.06),
                (0.10, 0.16, 0.03, 0.06, 0.03),
                (0.11, 0.10, 0.03, 0.04, 0.02),
            ),
            lag=((0.0, 1.0, 0.4), (2.3, 1.9, 2.2), (1.9, 2.1, 2.3)),
            gyro=(
                (0.22, 0.12, 0.09, 0.05, 0.05),
                (0.36, 0.15, 0.13, 0.07, 0.07),
                (0.35, 0.13, 0.08, 0.08, 0.05),
            ),
            heel=(0.20, 0.12, 0.08, 0.3, 0.7, 0.3),
        ),
    ),
    Activity.WALKING_DOWNSTAIRS: Motion(
        gravity=(0.98, -0.16, -0.08),
        sway=0.03,
        tremor_acc=(0.127, 0.105, 0.085),
        tremor_gyro=(0.50, 0.28, 0.20),
        seconds=(10, 25),
        gait=Gait(
            step_hz=(1.60, 2.05),
            acc=(
                (0.03, 0.45, 0.07, 0.17, 0.07),
                (0.07, 0.13, 0.05, 0.08, 0.05),
                (0.08, 0.07, 0.03, 0.06, 0.04),
            ),
            lag=((0.0, -0.3, -0.1), (-2.8, -2.1, -1.7), (-2.6, -1.9, -1.4)),
            gyro=(
                (0.29, 0.12, 0.22, 0.08, 0.06),
                (0.22, 0.15, 0.24, 0.16, 0.09),
                (0.09, 0.18, 0.17, 0.15, 0.06),
            ),
            heel=(0.55, 0.40, 0.35, 0.6, 1.4, 0.7),
        ),
    ),
    Activity.SITTING: Motion(
        gravity=(0.97, 0.14, 0.13),
        variety=(0.03, 0.06, 0.07),
        sway=0.006,
        tremor_acc=(0.002, 0.002, 0.003),
        tremor_gyro=(0.004, 0.006, 0.005),
        seconds=(20, 40),
    ),
    Activity.STANDING: Motion(
        gravity=(0.98, -0.16, 0.00),
        sway=0.01,
        tremor_acc=(0.002, 0.003, 0.003),
        tremor_gyro=(0.02, 0.012, 0.010),
        seconds=(20, 40),
    ),
    Activity.LAYING: Motion(
        gravity=(0.08, 0.76, 0.63),
        variety=(0.12, 0.2, 0.3),
        sway=0.006,
        tremor_acc=(0.003, 0.002, 0.003),
        tremor_gyro=(0.010, 0.013, 0.006),
        seconds=(20, 40),
    ),
}

_A = Activity

REACHABLE: Final = {
    _A.WALKING: (_A.STANDING, _A.WALKING_UPSTAIRS, _A.WALKING_DOWNSTAIRS),
    _A.WALKING_UPSTAIRS: (_A.STANDING, _A.WALKING, _A.WALKING_DOWNSTAIRS),
    _A.WALKING_DOWNSTAIRS: (_A.STANDING, _A.WALKING, _A.WALKING_UPSTAIRS),
    _A.SITTING: (_A.STANDING, _A.LAYING),
    _A.STANDING: (_A.WALKING, _A.WALKING_UPSTAIRS, _A.WALKING_DOWNSTAIRS, _A.SITTING, _A.LAYING),
    _A.LAYING: (_A.SITTING, _A.STANDING),
}
"""The activities that can follow each activity."""

POSTURE_CHANGES: Final = {
    (_A.STANDING, _A.SITTING): 7,
    (_A.SITTING, _A.STANDING): 8,
    (_A.SITTING, _A.LAYING): 9,
    (_A.LAYING, _A.SITTING): 10,
    (_A.STANDING, _A.LAYING): 11,
    (_A.LAYING, _A.STANDING): 12,
}
"""The movements of the public data set with their numbers; 1 to 6 are the activities."""

RISING_LEAN: Final = (0.0, -0.45, -0.10)
"""Change of the direction of gravity while a person sits down or stands up."""
LYING_LEAN: Final = (0.0, 0.15, -0.12)
"""The same while a person lies down or gets up from there."""
LEAN_VARIETY: Final = 0.12
"""Standard deviation of both between repetitions."""
STIR: Final = 0.06
"""Irregular acceleration in the middle of a movement, in g."""
WOBBLE: Final = 0.04
"""The same for the direction of gravity, relative to a unit vector."""
TWIST: Final = 0.8
"""Standard deviation of the rotation about the trunk, in rad/s."""
