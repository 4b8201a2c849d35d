"""The 561 features of the public UCI HAR data set, from raw samples. Pure: no I/O, no clock.

| step | stated plainly | compiled, to the bit the same |
|---|---|---|
| samples to signals | `filters` (SciPy) | `filter_chains` |
| signals to features | `series`, `statistics`, `spectra` (NumPy) | `compiled_features` |

`extract` uses the compiled features, `extract_plain` the plain ones; `scale` brings features to the
published scale.
"""

from streamer.features.extract import extract, extract_plain
from streamer.features.feature_set import NAMES, UCI_HAR, FeatureSet
from streamer.features.scale import scale, unscale

__all__ = ["NAMES", "UCI_HAR", "FeatureSet", "extract", "extract_plain", "scale", "unscale"]
