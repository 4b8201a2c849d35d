"""Features of the windows of a data set, with the conventions of the published ones."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from streamer.arrays import Floats
from streamer.datasets.public_recordings import Window, device_id, read_recordings
from streamer.errors import DataError
from streamer.features import UCI_HAR, extract
from streamer.features.filters import condition

_NEEDED = UCI_HAR.length + 1
"""Samples of a window, and the one after them that the last jerk needs."""


def compute_window_features(
    raw_dir: Path, windows: Sequence[Window], report: Callable[[int], None] = lambda _: None
) -> Floats:
    """Compute the features of windows of recordings.

    Args:
        raw_dir: recordings, see `streamer.datasets.public_recordings`.
        windows: where in which recording.
        report: is told how many windows were done just now.

    Returns:
        (n, 561) in the order of the windows, not scaled. The filters start at zero where a
        recording starts, as they did for the published data set.

    Raises:
        DataError: a recording is missing or malformed, or a window is not within its recording.
    """
    by_device: dict[str, list[int]] = defaultdict(list)
    for i, window in enumerate(windows):
        by_device[device_id(window.experiment, window.subject)].append(i)
    features = np.empty((len(windows), 561))
    for device, indices in by_device.items():
        [recording] = read_recordings(raw_dir, only=device)
        signals = condition(recording.acc_gyro.T.copy(), start="zero")
        for i in indices:
            _check(windows[i], signals.shape[1], device)
        starts = [windows[i].start0 for i in indices]
        features[indices] = extract(np.stack([signals[:, s : s + _NEEDED] for s in starts]))
        report(len(indices))
    return features


def _check(window: Window, samples: int, device: str) -> None:
    if not 0 <= window.start0 <= samples - _NEEDED:
        raise DataError(
            f"window {window.row} starts at sample {window.start0} of {device}, which has "
            f"{samples} samples: a window needs {_NEEDED} of them"
        )
