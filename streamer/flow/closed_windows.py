"""Windows as they are stored. It is imported only where `store_features` is set."""

from collections.abc import Sequence

import numpy as np

from streamer.arrays import Floats
from streamer.storage.window_files import StoredWindows
from streamer.stream.windows import Window


def make_stored_windows(windows: Sequence[Window], features: Floats) -> StoredWindows:
    """Return windows with their features (n, features) in the form in which they are stored."""
    return StoredWindows(
        np.array([window.device_id for window in windows], np.str_),
        np.array([window.start_ms for window in windows], np.int64),
        np.array([window.coverage for window in windows], np.float64),
        np.array([window.settled for window in windows], np.bool_),
        features.astype(np.float32),
    )
