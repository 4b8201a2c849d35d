"""The feature sets that this program computes, by name and version."""

from collections.abc import Callable
from typing import Final

import numpy as np

from streamer.arrays import Bools, Floats
from streamer.features.extract import extract
from streamer.features.feature_set import (
    GRAVITY_FRAME,
    GRAVITY_FRAME_ACC,
    NAMES,
    UCI_HAR,
    FeatureSet,
    is_of_rotation,
)
from streamer.features.gravity import (
    SMALLEST,
    extract_acceleration_in_gravity_frame,
    extract_in_gravity_frame,
)
from streamer.features.scale import scale


def _extract_published(signals: Floats) -> Floats:
    return scale(extract(signals))


_SETS: Final = (UCI_HAR, GRAVITY_FRAME, GRAVITY_FRAME_ACC)

_EXTRACT: Final[dict[str, Callable[[Floats], Floats]]] = {
    UCI_HAR.name: _extract_published,
    GRAVITY_FRAME.name: extract_in_gravity_frame,
    GRAVITY_FRAME_ACC.name: extract_acceleration_in_gravity_frame,
}


def compute_features(feature_set: FeatureSet, signals: Floats) -> Floats:
    """Compute the features (n, features) of windows of signals (n, 9, 129), as models take them.

    The features of the public data set are returned on the published scale.
    """
    return _EXTRACT[feature_set.name](signals)


def blank_rotation(feature_set: FeatureSet, features: Floats, without: Bools) -> None:
    """Set the features (n, features) of rotation to NaN for windows without a gyroscope (n,)."""
    columns = np.array([is_of_rotation(name) for name in feature_set.names])
    features[np.ix_(without, columns)] = np.nan


def express(feature_set: FeatureSet, name: str, value: float) -> float:
    """Return how a feature set states a value of one of the published features.

    Args:
        feature_set: the set.
        name: of the feature; an amplitude.
        value: in the unit of the signal, such as g.
    """
    if feature_set.in_gravity_frame:
        return float(np.log(value + SMALLEST))
    unscaled = np.zeros((1, len(NAMES)))
    unscaled[:, NAMES.index(name)] = value
    return float(scale(unscaled)[0, NAMES.index(name)])


def find_feature_set(name: str, version: str) -> FeatureSet | None:
    """Return the feature set of this name and version, None where there is none."""
    for feature_set in _SETS:
        if (feature_set.name, feature_set.version) == (name, version):
            return feature_set
    return None
