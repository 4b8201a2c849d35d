"""Reads the published features: a folder or its zip, whose files have one line for each window.

| file | holds |
|---|---|
| `train/X_train.txt` | 561 features, separated by spaces, on the published scale |
| `train/y_train.txt` | the label, a number |
| `train/subject_train.txt` | whose window it is, a number |
| `activity_labels.txt` | `number NAME` |

and `test/` likewise. A zip within the zip, as in the download, is searched too.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from streamer.datasets.feature_table import FeatureTable, InvalidRecords, TableRow, assemble_table
from streamer.errors import DataError

Place = Path | zipfile.Path
"""Path of a file or folder, on disk or in a zip."""

SPLITS = ("train", "test")


def find_published_features(source: Path) -> Place | None:
    """Return the folder of the data set: the source or a folder in it; None when it is neither.

    Raises:
        DataError: the zip is damaged.
    """
    try:
        if source.is_dir():
            return _find(source)
        return _find_zipped(zipfile.ZipFile(source))
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{source} is not an intact zip: {error}; download it again") from None


def read_published_features(
    root: Place,
    invalid: InvalidRecords,
    incomplete: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> FeatureTable:
    """Read both splits, or the one that exists.

    Args:
        root: the folder of the data set, from `find_published_features`.
        invalid: counts the invalid records.
        incomplete: whether to keep records with missing or invalid values.
        report: called with the number of records that were read just now.

    Raises:
        DataError: a file is missing or incomplete, or too many or all records are invalid.
    """
    names = read_activity_names(root / "activity_labels.txt")
    records = read_published_rows(root, names, invalid)
    return replace(assemble_table(records, str(root), invalid, incomplete, report), names=names)


def read_published_rows(
    root: Place,
    names: Mapping[str, str],
    invalid: InvalidRecords,
    report_share: Callable[[float], None] = lambda _: None,
) -> Iterator[TableRow]:
    """Yield the records of both splits, or of the one that exists, without checking the values.

    Args:
        root: the folder of the data set, from `find_published_features`.
        names: names of the labels by their number; records with another label are invalid.
        invalid: counts the invalid records.
        report_share: called after each record with the share of its split that was read, 0 to 1.

    Raises:
        DataError: a file is missing or incomplete, or too many records are invalid.
    """
    for split in SPLITS:
        if (root / split).exists():
            yield from _split(root / split, names, invalid, report_share)


def read_activity_names(path: Place) -> dict[str, str]:
    """Return the names of the labels by their number; empty when there is no such file.

    Raises:
        DataError: the file is malformed.
    """
    if not path.exists():
        return {}
    names = {}
    with _lines(path) as lines:
        for number, line in enumerate(lines, start=1):
            match line.split():
                case [label, name] if label.isdecimal() and not {*'",'} & {*name}:
                    names[label] = name
                case _:
                    raise DataError(
                        f"{path}, line {number}: expected a number and a name without commas, "
                        f"found {line[:60]!r}"
                    )
    return names


def _find(root: Place) -> Place | None:
    folders = [root, *(child for child in root.iterdir() if child.is_dir())]
    return next((each for each in folders if (each / "train" / "X_train.txt").exists()), None)


def _find_zipped(archive: zipfile.ZipFile) -> Place | None:
    root = zipfile.Path(archive)
    if (found := _find(root)) is not None:
        return found
    for child in root.iterdir():
        if child.name.endswith(".zip"):
            inner = zipfile.ZipFile(BytesIO(child.read_bytes()))
            inner.filename = str(child)
            if (found := _find(zipfile.Path(inner))) is not None:
                return found
    return None


def _split(
    folder: Place,
    names: Mapping[str, str],
    invalid: InvalidRecords,
    report_share: Callable[[float], None],
) -> Iterator[TableRow]:
    x, y, who = (folder / f"{kind}_{folder.name}.txt" for kind in ("X", "y", "subject"))
    with _lines(y) as lines:
        labels = [line.strip() for line in lines]
    with _lines(who) as lines:
        subjects = [line.strip() for line in lines]
    number = 0
    with _lines(x) as lines:
        for number, line in enumerate(lines, start=1):
            for file, column in ((y, labels), (who, subjects)):
                if number > len(column):
                    raise _uneven(file, len(column), x, number)
            report_share(number / len(labels))
            label = labels[number - 1]
            if not label.isdecimal() or (names and label not in names):
                invalid.add(f"{y}, line {number}", f"unknown activity {label[:40]!r}")
            else:
                yield TableRow(f"{x}, line {number}", label, line.split(), subjects[number - 1])
    for file, column in ((y, labels), (who, subjects)):
        if number < len(column):
            raise _uneven(x, number, file, number + 1)


def _uneven(shorter: Place, lines: int, longer: Place, line: int) -> DataError:
    return DataError(
        f"{shorter} ends after line {lines}, but {longer} has a line {line}: each file has one "
        "line for each window, so one of them is incomplete; copy it again"
    )


@contextmanager
def _lines(path: Place) -> Iterator[Iterator[str]]:
    """Yield the lines of a text. Invalid UTF-8 is replaced and then fails as a number."""
    try:
        with path.open("r", encoding="utf-8", errors="replace") as lines:
            yield lines
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
