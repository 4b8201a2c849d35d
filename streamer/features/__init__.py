"""Computes features of windows from raw samples. Pure: no I/O, no clock.

Each step has a readable version and a compiled one, which return the same bits:

| step | readable | compiled |
|---|---|---|
| samples to signals | `filters` (SciPy) | `filter_chains` |
| signals to features | `series`, `statistics`, `spectra` (NumPy) | `compiled_features` |
| signals into the frame of gravity | `turning` (NumPy) | `turning_compiled` |

`compute_features` computes one of three feature sets, as models take it:

- the 561 features of the public UCI HAR data set on the published scale (`extract`, then `scale`),
- the same features in the frame of gravity (`gravity`),
- those features in the frame of gravity that need no gyroscope.
"""

from streamer.features.compute import compute_features, express, find_feature_set
from streamer.features.extract import extract, extract_plain
from streamer.features.feature_set import (
    GRAVITY_FRAME,
    GRAVITY_FRAME_ACC,
    NAMES,
    UCI_HAR,
    FeatureSet,
)
from streamer.features.scale import scale, unscale

__all__ = [
    "GRAVITY_FRAME",
    "GRAVITY_FRAME_ACC",
    "NAMES",
    "UCI_HAR",
    "FeatureSet",
    "compute_features",
    "express",
    "extract",
    "extract_plain",
    "find_feature_set",
    "scale",
    "unscale",
]
