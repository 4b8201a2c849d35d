"""Defines what a feature set is, and names the features of each set."""

from dataclasses import dataclass, replace
from itertools import chain, combinations_with_replacement
from typing import Final


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Features of a window.

    Attributes:
        name: with `version`, the identity that every event carries.
        names: of the features, in their order.
        in_gravity_frame: whether the features are computed in the frame of gravity (`gravity`).
        needs_gyroscope: whether the set cannot be computed for windows without rotation. If it is
            False, features of rotation are NaN for such windows.
    """

    name: str
    version: str
    names: tuple[str, ...]
    in_gravity_frame: bool = False
    needs_gyroscope: bool = True


_AXES = ("X", "Y", "Z")
_STATISTICS = ("mean", "std", "mad", "max", "min", "sma", "energy", "iqr", "entropy")
_BANDS = (
    *("1,8", "9,16", "17,24", "25,32", "33,40", "41,48", "49,56", "57,64"),
    *("1,16", "17,32", "33,48", "49,64", "1,24", "25,48"),
)
_ORDERS = range(1, 5)


def _axial_statistics(signal: str) -> list[str]:
    return [
        name
        for statistic in _STATISTICS
        for name in (
            [f"{signal}-sma()"]
            if statistic == "sma"
            else [f"{signal}-{statistic}()-{axis}" for axis in _AXES]
        )
    ]


def _axial_time(signal: str) -> list[str]:
    return [
        *_axial_statistics(signal),
        *(f"{signal}-arCoeff()-{axis},{order}" for axis in _AXES for order in _ORDERS),
        *(f"{signal}-correlation()-{pair}" for pair in ("X,Y", "X,Z", "Y,Z")),
    ]


def _magnitude_time(signal: str) -> list[str]:
    return [
        *(f"{signal}-{statistic}()" for statistic in _STATISTICS),
        *(f"{signal}-arCoeff(){order}" for order in _ORDERS),
    ]


def _axial_frequency(signal: str) -> list[str]:
    return [
        *_axial_statistics(signal),
        *(f"{signal}-maxInds-{axis}" for axis in _AXES),
        *(f"{signal}-meanFreq()-{axis}" for axis in _AXES),
        *(f"{signal}-{moment}()-{axis}" for axis in _AXES for moment in ("skewness", "kurtosis")),
        # Published without the axis, so each of these names occurs three times: for X, Y and Z.
        *(f"{signal}-bandsEnergy()-{band}" for _ in _AXES for band in _BANDS),
    ]


def _magnitude_frequency(signal: str) -> list[str]:
    return [
        *(f"{signal}-{statistic}()" for statistic in _STATISTICS),
        f"{signal}-maxInds",
        *(f"{signal}-{statistic}()" for statistic in ("meanFreq", "skewness", "kurtosis")),
    ]


# Misspelt as published: the doubled "BodyBody", the stray parenthesis in the second angle.
NAMES: Final[tuple[str, ...]] = tuple(
    chain(
        *map(
            _axial_time, ("tBodyAcc", "tGravityAcc", "tBodyAccJerk", "tBodyGyro", "tBodyGyroJerk")
        ),
        *map(
            _magnitude_time,
            (
                "tBodyAccMag",
                "tGravityAccMag",
                "tBodyAccJerkMag",
                "tBodyGyroMag",
                "tBodyGyroJerkMag",
            ),
        ),
        *map(_axial_frequency, ("fBodyAcc", "fBodyAccJerk", "fBodyGyro")),
        *map(
            _magnitude_frequency,
            ("fBodyAccMag", "fBodyBodyAccJerkMag", "fBodyBodyGyroMag", "fBodyBodyGyroJerkMag"),
        ),
        (
            "angle(tBodyAccMean,gravity)",
            "angle(tBodyAccJerkMean),gravityMean)",
            "angle(tBodyGyroMean,gravityMean)",
            "angle(tBodyGyroJerkMean,gravityMean)",
            "angle(X,gravityMean)",
            "angle(Y,gravityMean)",
            "angle(Z,gravityMean)",
        ),
    )
)
"""The published names in the published order; duplicates are as published."""

UCI_HAR: Final = FeatureSet("uci-har", "1", NAMES)
"""The features of the public data set."""

DIRECTIONS: Final = tuple(
    "".join(axes) for degree in (3, 4) for axes in combinations_with_replacement("xyz", degree)
)
"""The products of components of gravity's direction that `gravity` appends, such as `xxy`."""

GRAVITY_FRAME: Final = replace(
    UCI_HAR,
    name="uci-har-gravity",
    names=(*NAMES, *(f"gravityDirection-{axes}" for axes in DIRECTIONS)),
    in_gravity_frame=True,
)
"""The same features in the frame of gravity, then the orientation of the phone: see `gravity`."""


def is_of_rotation(name: str) -> bool:
    """Return whether a feature needs a gyroscope."""
    return "Gyro" in name


ACCELERATION: Final = tuple(
    i for i, name in enumerate(GRAVITY_FRAME.names) if not is_of_rotation(name)
)
"""Columns of `GRAVITY_FRAME` that come from acceleration alone."""

ROTATION: Final = tuple(i for i, name in enumerate(GRAVITY_FRAME.names) if is_of_rotation(name))
"""Columns of `GRAVITY_FRAME` that need a gyroscope."""

GRAVITY_FRAME_ACC: Final = replace(
    GRAVITY_FRAME,
    name="uci-har-gravity-acc",
    names=tuple(GRAVITY_FRAME.names[i] for i in ACCELERATION),
    needs_gyroscope=False,
)
"""The columns of `GRAVITY_FRAME` that come from acceleration alone."""
