"""Computes features of listed windows by the conventions of the published data set."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from streamer.arrays import Floats
from streamer.datasets.public_recordings import name_device, read_recordings
from streamer.datasets.text_rows import parse_rows, read_lines
from streamer.errors import DataError
from streamer.features import extract
from streamer.features.filters import condition
from streamer.features.window_shape import WINDOW

_NEEDED = WINDOW.length + 1
"""Samples of a window, and the sample after it, which the last jerk needs."""


@dataclass(frozen=True, slots=True)
class ListedWindow:
    """Where a row of the published data set comes from: sample ``start0`` (counted from 0)."""

    row: int
    subject: int
    activity: int
    experiment: int
    start0: int


def read_window_list(path: Path) -> list[ListedWindow]:
    """Read a CSV file with the columns row,subject,activity,experiment,start0.

    Raises:
        DataError: the file is missing or malformed; says which line.
    """
    header, *lines = read_lines(path) or [""]
    columns = " ".join(field.name for field in fields(ListedWindow))
    if header.replace(",", " ") != columns:
        raise DataError(
            f"{path}: the first line of a table of windows must be {columns.replace(' ', ',')}"
        )
    rows = parse_rows(path, lines, int, columns, separator=",", first_line=2)
    return [ListedWindow(*row) for row in rows]


def compute_window_features(
    raw_dir: Path, windows: Sequence[ListedWindow], report: Callable[[int], None] = lambda _: None
) -> Floats:
    """Compute the features of windows of recordings.

    Args:
        raw_dir: recordings in the public layout.
        windows: the windows.
        report: called with the number of windows that were computed just now.

    Returns:
        (n, 561) in the order of the windows, not scaled. The filters start at zero at the first
        sample of a recording, as they did for the published data set.

    Raises:
        DataError: a recording is missing or malformed, or a window exceeds its recording.
    """
    by_device: dict[str, list[int]] = defaultdict(list)
    for i, window in enumerate(windows):
        by_device[name_device(window.experiment, window.subject)].append(i)
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


def _check(window: ListedWindow, samples: int, device: str) -> None:
    if not 0 <= window.start0 <= samples - _NEEDED:
        raise DataError(
            f"window {window.row} starts at sample {window.start0} of {device}, which has "
            f"{samples} samples: a window needs {_NEEDED} of them"
        )
