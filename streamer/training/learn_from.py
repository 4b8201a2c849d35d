"""Windows to learn from, out of whatever a file or folder is."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from streamer.datasets.augment import COPIES
from streamer.datasets.class_names import PUBLIC_NAMES, activity_named
from streamer.datasets.csv_recordings import Columns, read_csv_sessions
from streamer.datasets.recordings import read_sessions
from streamer.datasets.sources import read_source
from streamer.datasets.table import Invalid, Table
from streamer.datasets.windows import Windows, chosen, collect
from streamer.errors import DataError

PUBLIC, OWN, TABLE = "recordings (public layout)", "recordings (CSV)", "table of features"


def windows_from(
    source: Path,
    columns: Columns | None = None,
    users: Collection[str] = (),
    exclude_users: Collection[str] = (),
    copies: int = len(COPIES),
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> tuple[Windows, str]:
    """Read recordings and cut them, or read a table of features that has been made from some.

    Args:
        source: a folder of recordings, or what `streamer.datasets.sources.read_source` reads.
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
        return collect(sessions, users, exclude_users, copies, seed, report), OWN
    if source.is_dir() and (source / "labels.txt").exists():
        sessions = read_sessions(source)
        return collect(sessions, users, exclude_users, copies, seed, report), PUBLIC
    windows = _tabled(read_source(source, Invalid()), source)
    rows = chosen(windows.subjects.tolist(), users, exclude_users)
    return windows.of(rows), TABLE


def _tabled(table: Table, source: Path) -> Windows:
    """The records of a table, of which nobody knows how they follow one another."""
    if table.subjects is None:
        raise DataError(
            f"{source} does not say whose records they are, so nobody can be left out; convert the "
            "data again with --with-subject"
        )
    names = {str(number): name for number, name in PUBLIC_NAMES.items()} | dict(table.names)
    truths = [activity_named(names.get(label, label)) for label in table.labels]
    return Windows(
        features=table.features,
        truths=np.array(truths),
        subjects=table.subjects.astype(np.str_),
        recordings=np.arange(len(table)).astype(np.str_),
        starts=np.zeros(len(table), np.int64),
        copies=np.zeros(len(table), np.int64),
    )
