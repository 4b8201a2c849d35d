"""What a feature set is; the features of each set by name."""

from dataclasses import dataclass, replace
from itertools import chain, combinations_with_replacement
from typing import Final


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """The shape in time of a set of features; lengths are in samples unless they say otherwise.

    Attributes:
        name: with `version`, the identity that every event carries.
        rate_hz: sampling rate that the features are defined for.
        length: samples of a window.
        hop: samples from one window's start to the next one's.
        lookahead: samples needed after the window: one for the jerk, one for the median.
        epoch_hops: the filters start anew after this many hops, so that nothing depends on
            samples older than two such epochs.
        settled_us: how long the filters have to run before their start is forgotten.
        names: of the features, in their order.
        in_gravity_frame: whether nothing but gravity's direction depends on how the phone lies.
        needs_gyroscope: whether windows without rotation have none of these features. Where it is
            False and the set has features of rotation, these are NaN for such windows.
    """

    name: str
    version: str
    rate_hz: int
    length: int
    hop: int
    lookahead: int
    epoch_hops: int
    settled_us: int
    names: tuple[str, ...]
    in_gravity_frame: bool = False
    needs_gyroscope: bool = True

    @property
    def step_us(self) -> int:
        """Time from one sample to the next."""
        return 1_000_000 // self.rate_hz

    @property
    def hop_us(self) -> int:
        """Time from one window's start to the next one's."""
        return self.hop * self.step_us

    @property
    def length_us(self) -> int:
        """Time that a window covers."""
        return self.length * self.step_us


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

UCI_HAR: Final = FeatureSet(
    name="uci-har",
    version="1",
    rate_hz=50,
    length=128,
    hop=64,
    lookahead=2,
    epoch_hops=32,
    settled_us=38_000_000,
    names=NAMES,
)
"""The features of the public data set."""

DIRECTIONS: Final = tuple(
    "".join(axes) for degree in (3, 4) for axes in combinations_with_replacement("xyz", degree)
)
"""Products of components of gravity's direction: all polynomials up to the fourth degree there."""

GRAVITY_FRAME: Final = replace(
    UCI_HAR,
    name="uci-har-gravity",
    names=(*NAMES, *(f"gravityDirection-{axes}" for axes in DIRECTIONS)),
    in_gravity_frame=True,
)
"""The same in the frame of gravity, and how the phone lies in it: see `gravity`."""


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
