"""The same features in the frame of gravity: nothing in them depends on how the phone lies.

The signals of a window are turned so that its mean gravity points along +x and the principal
direction of the horizontal body acceleration along y, to the side on which that is skewed. Then
the features are those of the public data set, but for two kinds of columns:

- amplitudes and energies are logarithms, so that a gain is an offset,
- the angles of the axes to gravity are those of the phone's own axes: the only ones that say how it
  lies.
"""

import re
from typing import Final

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.compiled import IS_COMPILED
from streamer.features import turning, turning_compiled
from streamer.features.extract import extract
from streamer.features.feature_set import NAMES

_turned = turning_compiled.turned if IS_COMPILED else turning.turned

SMALLEST: Final = 1e-9
"""What is added before a logarithm: less than any sensor tells apart."""

_AMPLITUDE = re.compile(
    r"std|mad|sma|energy|iqr|bandsEnergy"  # of anything
    r"|Mag-(mean|max|min)\(|^f.*-(mean|max|min)\("  # of what is never negative
)


def _columns(pattern: re.Pattern[str]) -> Ints:
    return np.array([i for i, name in enumerate(NAMES) if pattern.search(name)])


LOGARITHMS: Final = _columns(_AMPLITUDE)
"""Columns that are logarithms."""

OWN_ANGLES: Final = _columns(re.compile(r"^angle\([XYZ],"))
"""Columns with the angles between the phone's axes and gravity, in radians."""

_LEVEL: Final = _columns(re.compile(r"^tGravityAcc-mean\(\)-[YZ]"))
"""What is left of gravity across itself: rounding, and nothing that a model may look at."""


def extract_in_gravity_frame(signals: Floats) -> Floats:
    """Compute the features of windows, turned.

    Args:
        signals: (n, 9, 129) float64, as `streamer.features.extract.extract` takes them.

    Returns:
        (n, 561) in the order of `NAMES`. A row is the same to the last bit whatever windows it is
        computed with.

    Raises:
        ShapeError: the array has another shape or type.
    """
    features = extract(_turned(signals))
    features[:, LOGARITHMS] = np.log(np.maximum(features[:, LOGARITHMS], 0) + SMALLEST)
    features[:, OWN_ANGLES] = np.arccos(np.clip(turning.up(signals), -1, 1))
    features[:, _LEVEL] = 0
    return features
