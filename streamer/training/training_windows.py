"""Reads labelled windows for training from recordings or from a table of features."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from streamer.datasets.class_names import PUBLIC_NAMES, activity_of_label
from streamer.datasets.feature_sources import read_feature_table
from streamer.datasets.feature_table import FeatureTable, InvalidRecords
from streamer.datasets.labelled_windows import LabelledWindows, cut_recordings, select_users
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.datasets.recording_sources import Note, has_public_layout, read_for_learning
from streamer.errors import DataError
from streamer.profiles.profile import FileLayout
from streamer.training.variation import make_copies

PUBLIC, OTHER, TABLE = "recordings (public layout)", "recordings (profile)", "table of features"


def read_training_windows(
    source: Path,
    layout: FileLayout | None = None,
    users: Collection[str] = (),
    exclude_users: Collection[str] = (),
    with_copies: bool = True,
    seed: int = 0,
    report: ReportProgress = ignore_progress,
    note: Note = lambda _: None,
) -> tuple[LabelledWindows, str]:
    """Read recordings and cut them into windows, or read a table of features.

    Args:
        source: a folder of recordings, or what `read_feature_table` reads.
        layout: how the files of other devices are read; None for other sources.
        users: the subjects to take; all when empty.
        exclude_users: the subjects to leave out.
        with_copies: whether to add varied copies of each recording; a table has none.
        seed: of the random offsets of windows and of the variations.
        report: called when a recording is done.
        note: called with what the user should know about a recording.

    Returns:
        The windows, and what kind of source they are from.

    Raises:
        DataError: the source is none of these, it is malformed, or a user does not occur.
    """
    if layout is not None or has_public_layout(source):
        recordings = read_for_learning(source, layout, note)
        if with_copies and not all(each.subject for each in recordings):
            raise DataError(
                f"nobody knows whose recordings are in {source}, so the model cannot be judged on "
                "people it has not learned from: name the person in the profile, with the group "
                "`subject` of `name` or the column `subject`"
            )
        copy = {"make_copies": make_copies} if with_copies else {}
        windows = cut_recordings(recordings, users, exclude_users, seed=seed, report=report, **copy)
        return windows, PUBLIC if layout is None else OTHER
    windows = _windows_of_table(read_feature_table(source, InvalidRecords()), source)
    rows = select_users(windows.subjects.tolist(), users, exclude_users)
    return windows.of(rows), TABLE


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
