"""The feature sets that this program computes, by name and version."""

from collections.abc import Callable
from typing import Final

from streamer.arrays import Floats
from streamer.features.extract import extract
from streamer.features.feature_set import GRAVITY_FRAME, UCI_HAR, FeatureSet
from streamer.features.gravity import extract_in_gravity_frame
from streamer.features.scale import scale


def _extract_published(signals: Floats) -> Floats:
    return scale(extract(signals))


_COMPUTED: Final[dict[FeatureSet, Callable[[Floats], Floats]]] = {
    UCI_HAR: _extract_published,
    GRAVITY_FRAME: extract_in_gravity_frame,
}


def compute_features(feature_set: FeatureSet, signals: Floats) -> Floats:
    """Compute the features (n, features) of windows of signals (n, 9, 129), as models take them.

    Those of the public data set are on the published scale.
    """
    return _COMPUTED[feature_set](signals)


def find_feature_set(name: str, version: str) -> FeatureSet | None:
    """Return the feature set of this name and version, None where there is none."""
    for feature_set in _COMPUTED:
        if (feature_set.name, feature_set.version) == (name, version):
            return feature_set
    return None
