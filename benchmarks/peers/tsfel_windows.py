"""Windows per second of tsfel's features, one window of nine signals after the other."""

import time
import warnings

import numpy as np
import tsfel

warnings.simplefilter("ignore")
SECONDS = 5.0

features = tsfel.get_features_by_domain()
windows = np.random.default_rng(0).normal(size=(1000, 128, 9))
extract = tsfel.time_series_features_extractor
extract(features, windows[0], fs=50, verbose=0)
done, begin_s = 0, time.perf_counter()
while time.perf_counter() < begin_s + SECONDS:
    extract(features, windows[done % 1000], fs=50, verbose=0)
    done += 1
print(done / (time.perf_counter() - begin_s))
