"""Reads labelled features from any source: published data set, recordings or converted files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from streamer.arrays import Ints, Strings
from streamer.contracts.activities import is_movement
from streamer.datasets.class_names import label_of_activity, order_classes
from streamer.datasets.feature_table import FeatureTable, InvalidRecords, read_table
from streamer.datasets.labelled_windows import cut_recordings, sort_naturally
from streamer.datasets.published_features import (
    find_published_features,
    read_published_features,
)
from streamer.datasets.recording import Recording
from streamer.datasets.recording_sources import Note, has_public_layout, read_for_learning
from streamer.errors import DataError
from streamer.profiles.profile import FileLayout


def read_feature_table(
    source: Path,
    invalid: InvalidRecords,
    incomplete: bool = False,
    report: Callable[[int], None] = lambda _: None,
    layout: FileLayout | None = None,
    note: Note = lambda _: None,
) -> FeatureTable:
    """Read labelled features from a file or folder.

    Args:
        source: the published data set, as a folder or a zip; a folder of recordings with
            ``labels.txt``, which are cut into windows as for training; or converted CSV files.
        invalid: counts the invalid records.
        incomplete: whether to keep records with missing or invalid values.
        report: called with the number of records or recordings that were read just now.
        layout: how the files of other devices are read; None for other sources.
        note: called with what the user should know about a recording.

    Raises:
        DataError: the source is none of these, or it is malformed.
    """
    if layout is not None or has_public_layout(source):
        return _compute_from_recordings(read_for_learning(source, layout, note), report)
    if source.is_dir() or source.suffix == ".zip":
        if (root := find_published_features(source)) is not None:
            return read_published_features(root, invalid, incomplete, report)
        if source.suffix == ".zip" or not any(source.glob("*.csv")):
            raise DataError(
                f"{source} is not a data set: expected train/X_train.txt as in the published one, "
                "labels.txt and recordings as in a folder RawData, or converted .csv files"
            )
    return read_table(source, invalid, incomplete, report)


def _compute_from_recordings(
    recordings: list[Recording], report: Callable[[int], None]
) -> FeatureTable:
    windows = cut_recordings(recordings, report=lambda *_: report(1))
    windows = windows.of(np.array([bool(t) and not is_movement(t) for t in windows.truths]))
    activities = order_classes(windows.truths.tolist())
    return FeatureTable(
        windows.features,
        [str(activities.index(truth) + 1) for truth in windows.truths],
        _number_subjects(windows.subjects),
        {str(i): label_of_activity(activity) for i, activity in enumerate(activities, start=1)},
    )


def _number_subjects(subjects: Strings) -> Ints | None:
    """Return numbers of subjects: their own, or their places among all; None when unknown."""
    names = sort_naturally(subjects.tolist())
    if not all(names):
        return None
    if all(name.isdecimal() for name in names):
        return subjects.astype(np.int64)
    return np.array([names.index(subject) + 1 for subject in subjects.tolist()], np.int64)
