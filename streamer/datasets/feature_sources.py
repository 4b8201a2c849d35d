"""Where labelled features come from: the published data set, recordings, or converted CSV files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from streamer.contracts.activities import is_movement
from streamer.datasets import published_features
from streamer.datasets.class_names import classes_of, label_of_activity
from streamer.datasets.feature_table import FeatureTable, InvalidRecords, read_table
from streamer.datasets.labelled_windows import cut_recordings
from streamer.datasets.public_recordings import read_labelled_recordings
from streamer.errors import DataError


def read_feature_table(
    source: Path,
    invalid: InvalidRecords,
    incomplete: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> FeatureTable:
    """Read labelled features from whatever a file or folder is.

    Args:
        source: the published data set, as a folder or a zip; a folder of recordings with their
            ``labels.txt``, cut into windows as for training; or what `read_table` reads.
        invalid: what happens to invalid records.
        incomplete: also take records in which values are missing or no numbers.
        report: is told how many records, or recordings, were read just now.

    Raises:
        DataError: it is none of these, or it is malformed.
    """
    if source.is_dir() and (source / "labels.txt").exists():
        return _recorded(source, report)
    if source.is_dir() or source.suffix == ".zip":
        if (root := published_features.find(source)) is not None:
            return published_features.read(root, invalid, incomplete, report)
        if source.suffix == ".zip" or not any(source.glob("*.csv")):
            raise DataError(
                f"{source} is no data set: expected train/X_train.txt as in the published one, "
                "labels.txt and recordings as in a folder RawData, or converted .csv files"
            )
    return read_table(source, invalid, incomplete, report)


def _recorded(raw_dir: Path, report: Callable[[int], None]) -> FeatureTable:
    windows = cut_recordings(
        read_labelled_recordings(raw_dir), copies=0, report=lambda _: report(1)
    )
    windows = windows.of(np.array([bool(t) and not is_movement(t) for t in windows.truths]))
    activities = classes_of(windows.truths.tolist())
    return FeatureTable(
        windows.features,
        [str(activities.index(truth) + 1) for truth in windows.truths],
        windows.subjects.astype(np.int64),
        {str(i): label_of_activity(activity) for i, activity in enumerate(activities, start=1)},
    )
