"""Where labelled features come from: the published data set, recordings, or converted CSV files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from streamer.contracts.activities import is_movement
from streamer.datasets import published
from streamer.datasets.class_names import classes_of, label_of
from streamer.datasets.recordings import read_sessions
from streamer.datasets.table import Invalid, Table, read_table
from streamer.datasets.windows import collect
from streamer.errors import DataError


def read_source(
    source: Path,
    invalid: Invalid,
    incomplete: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> Table:
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
        if (root := published.find(source)) is not None:
            return published.read(root, invalid, incomplete, report)
        if source.suffix == ".zip" or not any(source.glob("*.csv")):
            raise DataError(
                f"{source} is no data set: expected train/X_train.txt as in the published one, "
                "labels.txt and recordings as in a folder RawData, or converted .csv files"
            )
    return read_table(source, invalid, incomplete, report)


def _recorded(raw_dir: Path, report: Callable[[int], None]) -> Table:
    windows = collect(read_sessions(raw_dir), copies=0, report=lambda _: report(1))
    windows = windows.of(np.array([bool(t) and not is_movement(t) for t in windows.truths]))
    activities = classes_of(windows.truths.tolist())
    return Table(
        windows.features,
        [str(activities.index(truth) + 1) for truth in windows.truths],
        windows.subjects.astype(np.int64),
        {str(i): label_of(activity) for i, activity in enumerate(activities, start=1)},
    )
