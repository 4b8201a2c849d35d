"""Windows to learn from, out of whatever a file or folder is."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from streamer.datasets.class_names import PUBLIC_NAMES, activity_of_label
from streamer.datasets.csv_recordings import Columns, read_csv_sessions
from streamer.datasets.feature_sources import read_feature_table
from streamer.datasets.feature_table import FeatureTable, InvalidRecords
from streamer.datasets.labelled_windows import LabelledWindows, cut_recordings, select_users
from streamer.datasets.public_recordings import read_labelled_recordings
from streamer.errors import DataError
from streamer.training.variation import COPIES

PUBLIC, OWN, TABLE = "recordings (public layout)", "recordings (CSV)", "table of features"


def read_training_windows(
    source: Path,
    columns: Columns | None = None,
    users: Collection[str] = (),
    exclude_users: Collection[str] = (),
    copies: int = len(COPIES),
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> tuple[LabelledWindows, str]:
    """Read recordings and cut them, or read a table of features that has been made from some.

    Args:
        source: a folder of recordings, or what `read_feature_table` reads.
        columns: of recordings in CSV files; None when it is something else.
        users: whom to take; everybody when empty.
        exclude_users: whom not to take.
        copies: varied copies of each recording; of a table there are none.
        seed: of where windows start and how copies are varied.
        report: is told which recording is done.

    Returns:
        The windows, and what the source is.

    Raises:
        DataError: it is none of these, it is malformed, or a user is not there.
    """
    if columns is not None:
        sessions = read_csv_sessions(source, columns)
        return cut_recordings(sessions, users, exclude_users, copies, seed, report), OWN
    if source.is_dir() and (source / "labels.txt").exists():
        sessions = read_labelled_recordings(source)
        return cut_recordings(sessions, users, exclude_users, copies, seed, report), PUBLIC
    windows = _tabled(read_feature_table(source, InvalidRecords()), source)
    rows = select_users(windows.subjects.tolist(), users, exclude_users)
    return windows.of(rows), TABLE


def _tabled(table: FeatureTable, source: Path) -> LabelledWindows:
    """The records of a table, of which nobody knows how they follow one another."""
    if table.subjects is None:
        raise DataError(
            f"{source} does not say whose records they are, so nobody can be left out; convert the "
            "data again with --with-subject"
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
