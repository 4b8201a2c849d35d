"""Where labelled features come from: the published data set, recordings, or converted CSV files."""

from collections.abc import Callable
from pathlib import Path

from streamer.errors import DataError
from streamer.model import published
from streamer.model.evaluation import TRUTHS
from streamer.model.table import Invalid, Table, read_table
from streamer.model.windows import collect


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
    windows = collect(raw_dir, copies=0, report=lambda _: report(1))
    return Table(
        windows.features,
        [str(i + 1) for i in windows.classes],
        windows.subjects,
        {str(i): activity.upper() for i, activity in enumerate(TRUTHS, start=1)},
    )
