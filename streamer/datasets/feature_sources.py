"""Reads labelled features from any source: published data set, recordings or converted files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from streamer.contracts.activities import is_movement
from streamer.datasets.class_names import label_of_activity, order_classes
from streamer.datasets.feature_table import FeatureTable, InvalidRecords, read_table
from streamer.datasets.labelled_windows import cut_recordings
from streamer.datasets.public_recordings import read_labelled_recordings
from streamer.datasets.published_features import (
    find_published_features,
    read_published_features,
)
from streamer.errors import DataError


def read_feature_table(
    source: Path,
    invalid: InvalidRecords,
    incomplete: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> FeatureTable:
    """Read labelled features from a file or folder.

    Args:
        source: the published data set, as a folder or a zip; a folder of recordings with
            ``labels.txt``, which are cut into windows as for training; or converted CSV files.
        invalid: counts the invalid records.
        incomplete: whether to keep records with missing or invalid values.
        report: called with the number of records or recordings that were read just now.

    Raises:
        DataError: the source is none of these, or it is malformed.
    """
    if source.is_dir() and (source / "labels.txt").exists():
        return _compute_from_recordings(source, report)
    if source.is_dir() or source.suffix == ".zip":
        if (root := find_published_features(source)) is not None:
            return read_published_features(root, invalid, incomplete, report)
        if source.suffix == ".zip" or not any(source.glob("*.csv")):
            raise DataError(
                f"{source} is not a data set: expected train/X_train.txt as in the published one, "
                "labels.txt and recordings as in a folder RawData, or converted .csv files"
            )
    return read_table(source, invalid, incomplete, report)


def _compute_from_recordings(raw_dir: Path, report: Callable[[int], None]) -> FeatureTable:
    windows = cut_recordings(read_labelled_recordings(raw_dir), report=lambda *_: report(1))
    windows = windows.of(np.array([bool(t) and not is_movement(t) for t in windows.truths]))
    activities = order_classes(windows.truths.tolist())
    return FeatureTable(
        windows.features,
        [str(activities.index(truth) + 1) for truth in windows.truths],
        windows.subjects.astype(np.int64),
        {str(i): label_of_activity(activity) for i, activity in enumerate(activities, start=1)},
    )
