"""The same features in the frame of gravity: none but the last depends on how the phone lies.

The signals of a window are turned so that its mean gravity points along +x and the principal
direction of the horizontal body acceleration along y, to the side on which that is skewed. Then
the features are those of the public data set, but

- amplitudes and energies are logarithms, so that a gain is an offset,
- what is constant in this frame, such as the direction of gravity, is 0,
- products of three and of four components of gravity's direction in the phone's own axes follow:
  on a sphere these add up to every polynomial up to the fourth degree.
"""

import re
from typing import Final

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.features import turning_compiled
from streamer.features.extract import extract
from streamer.features.feature_set import ACCELERATION, DIRECTIONS, GRAVITY_FRAME, NAMES

SMALLEST: Final = 1e-9
"""What is added before a logarithm: less than a sensor can tell apart."""


def _columns(pattern: str) -> Ints:
    return np.array([i for i, name in enumerate(NAMES) if re.search(pattern, name)])


LOGARITHMS: Final = _columns(
    r"std|mad|sma|energy|iqr|bandsEnergy"  # of anything
    r"|Mag-(mean|max|min)\(|^f.*-(mean|max|min)\("  # of what is never negative
)
"""Columns that are logarithms."""

CONSTANT: Final = _columns(r"^tGravityAcc-mean\(\)-[YZ]|^angle\([XYZ],")
"""Columns that are constant in this frame but for rounding, at which no model may look."""


def extract_in_gravity_frame(signals: Floats) -> Floats:
    """Compute the features of windows in the frame of gravity.

    Args:
        signals: (n, 9, 129) float64, as `streamer.features.extract.extract` takes them.

    Returns:
        (n, 586) in the order of ``GRAVITY_FRAME.names``. A row is the same to the last bit
        whatever windows it is computed with.

    Raises:
        ShapeError: the array has another shape or type.
    """
    turned = extract(turning_compiled.turn(signals))
    turned[:, LOGARITHMS] = np.log(np.maximum(turned[:, LOGARITHMS], 0) + SMALLEST)
    turned[:, CONSTANT] = 0
    features = np.empty((len(signals), len(GRAVITY_FRAME.names)))
    features[:, : len(NAMES)] = turned
    components = dict(zip("xyz", turning_compiled.find_up(signals).T, strict=True))
    for column, axes in enumerate(DIRECTIONS, len(NAMES)):
        product = components[axes[0]]
        for axis in axes[1:]:
            product = product * components[axis]
        features[:, column] = product
    return features


def extract_acceleration_in_gravity_frame(signals: Floats) -> Floats:
    """Compute the features of windows that come from acceleration alone.

    A window is turned by its acceleration, so these are columns of `extract_in_gravity_frame`,
    whatever the gyroscope measures.

    Returns:
        (n, 373) in the order of ``GRAVITY_FRAME_ACC.names``.

    Raises:
        ShapeError: the array has another shape or type.
    """
    return np.ascontiguousarray(extract_in_gravity_frame(signals)[:, ACCELERATION])
