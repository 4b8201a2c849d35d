"""Reads labelled windows for training from recordings or from a table of features."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from streamer.datasets.class_names import PUBLIC_NAMES, activity_of_label
from streamer.datasets.csv_recordings import Columns, read_csv_recordings
from streamer.datasets.feature_sources import read_feature_table
from streamer.datasets.feature_table import FeatureTable, InvalidRecords
from streamer.datasets.labelled_windows import LabelledWindows, cut_recordings, select_users
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.datasets.public_recordings import read_labelled_recordings
from streamer.errors import DataError
from streamer.training.variation import make_copies

PUBLIC, OWN, TABLE = "recordings (public layout)", "recordings (CSV)", "table of features"


def read_training_windows(
    source: Path,
    columns: Columns | None = None,
    users: Collection[str] = (),
    exclude_users: Collection[str] = (),
    with_copies: bool = True,
    seed: int = 0,
    report: ReportProgress = ignore_progress,
) -> tuple[LabelledWindows, str]:
    """Read recordings and cut them into windows, or read a table of features.

    Args:
        source: a folder of recordings, or what `read_feature_table` reads.
        columns: the columns of recordings in CSV files; None for other sources.
        users: the subjects to take; all when empty.
        exclude_users: the subjects to leave out.
        with_copies: whether to add varied copies of each recording; a table has none.
        seed: of the random offsets of windows and of the variations.
        report: called when a recording is done.

    Returns:
        The windows, and what kind of source they are from.

    Raises:
        DataError: the source is none of these, it is malformed, or a user does not occur.
    """
    recordings, kind = None, TABLE
    if columns is not None:
        recordings, kind = read_csv_recordings(source, columns), OWN
    elif source.is_dir() and (source / "labels.txt").exists():
        recordings, kind = read_labelled_recordings(source), PUBLIC
    if recordings is not None:
        copy = {"make_copies": make_copies} if with_copies else {}
        windows = cut_recordings(recordings, users, exclude_users, seed=seed, report=report, **copy)
        return windows, kind
    windows = _windows_of_table(read_feature_table(source, InvalidRecords()), source)
    rows = select_users(windows.subjects.tolist(), users, exclude_users)
    return windows.of(rows), kind


def _windows_of_table(table: FeatureTable, source: Path) -> LabelledWindows:
    """Return the records as windows, each as a recording of its own: their order is unknown."""
    if table.subjects is None:
        raise DataError(
            f"{source} has no subjects, so the model cannot be judged on people it has not "
            "learned from; convert the data again with --with-subject"
        )
    names = {str(number): name for number, name in PUBLIC_NAMES.items()} | dict(table.names)
    truths = [activity_of_label(names.get(label, label)) for label in table.labels]
    return LabelledWindows(
        features=table.features,
        truths=np.array(truths),
        subjects=table.subjects.astype(np.str_),
        recordings=np.arange(len(table)).astype(np.str_),
        starts=np.zeros(len(table), np.int64),
        copies=np.zeros(len(table), np.int64),
    )
