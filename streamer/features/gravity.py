"""Computes features in the frame of gravity: only the last ones depend on the orientation.

The signals of a window are turned (`turning`) so that +x is the direction of mean gravity and y is
the principal direction of the horizontal body acceleration. The sign of y is the one with positive
skewness. Then the features of the public data set are computed, with three differences:

- Amplitudes and energies are logarithms, so that a gain of the sensor becomes an offset.
- A feature that is constant in this frame, such as the direction of gravity, is 0.
- Products of three and of four components of the direction of gravity in the axes of the phone are
  appended. On a sphere, every polynomial up to the fourth degree is a sum of these products.
"""

import re
from typing import Final

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.features import turning_compiled
from streamer.features.extract import extract
from streamer.features.feature_set import ACCELERATION, DIRECTIONS, GRAVITY_FRAME, NAMES

SMALLEST: Final = 1e-9
"""Added before a logarithm is taken. It is smaller than the resolution of a sensor."""


def _columns(pattern: str) -> Ints:
    return np.array([i for i, name in enumerate(NAMES) if re.search(pattern, name)])


LOGARITHMS: Final = _columns(
    r"std|mad|sma|energy|iqr|bandsEnergy"  # of all signals
    r"|Mag-(mean|max|min)\(|^f.*-(mean|max|min)\("  # of signals that are never negative
)
"""Columns that are logarithms."""

CONSTANT: Final = _columns(r"^tGravityAcc-mean\(\)-[YZ]|^angle\([XYZ],")
"""Columns that are constant in this frame except for rounding errors, which no model may use."""


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

    They are columns of `extract_in_gravity_frame`. They do not depend on the gyroscope, because the
    acceleration alone decides how a window is turned.

    Returns:
        (n, 373) in the order of ``GRAVITY_FRAME_ACC.names``.

    Raises:
        ShapeError: the array has another shape or type.
    """
    return np.ascontiguousarray(extract_in_gravity_frame(signals)[:, ACCELERATION])
