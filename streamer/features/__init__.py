"""The 561 features of the public UCI HAR data set, from raw samples, in vectorized NumPy.

`streamer.features.filters` turns samples into signals, `extract` windows of signals into features,
`scale` features into the published ones. Nothing here reads or writes anything.
"""

from streamer.features.extract import extract
from streamer.features.feature_set import NAMES, UCI_HAR, FeatureSet
from streamer.features.scale import scale, unscale

__all__ = ["NAMES", "UCI_HAR", "FeatureSet", "extract", "scale", "unscale"]
