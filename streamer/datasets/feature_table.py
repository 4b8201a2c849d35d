"""Labelled features as a table, and the CSV files that hold one.

A file has a header, and a line for each record: the label first, then the 561 features on the
published scale, then, if it is wanted, whose window it is::

    label,Var001,...,Var561[,subject]

A file without the header is read too. Many files in one folder are one table.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.errors import DataError
from streamer.features import NAMES

LABEL: Final = "label"
VARIABLES: Final = tuple(f"Var{i:03d}" for i in range(1, len(NAMES) + 1))
"""The features as the article's schema for Amazon ML names them."""
SUBJECT: Final = "subject"
MOST_INVALID = 10_000
"""More invalid records than this, and reading stops; as in Amazon ML."""

_WHOLE = re.compile(r"[0-9]{1,18}")
_MISSING = {"", "?", "na", "n/a", "null"}


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Labelled records.

    Attributes:
        features: (n, 561) on the published scale; where `incomplete` records were asked for, NaN
            is a missing value and infinity one that is no number.
        labels: n labels, as the source has them.
        subjects: (n,) whose windows these are; None when the source does not say.
        names: what the labels are called, where the source has that besides.
    """

    features: Floats
    labels: list[str]
    subjects: Ints | None
    names: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a source, as text.

    Attributes:
        place: file and line.
        subject: None where the source has no subjects.
    """

    place: str
    label: str
    values: Sequence[str]
    subject: str | None


class InvalidRecords:
    """Reports and counts records that cannot be used, and stops when they are too many."""

    def __init__(
        self, most: int = MOST_INVALID, report: Callable[[str], None] = lambda _: None
    ) -> None:
        self._most = most
        self._report = report
        self.count = 0

    def add(self, place: str, reason: str) -> None:
        """Leave a record out.

        Raises:
            DataError: it was one too many.
        """
        self.count += 1
        self._report(f"{place}: {reason}; the record is left out")
        if self.count > self._most:
            raise DataError(
                f"more than {self._most} records are invalid, the last at {place}: {reason}; "
                "correct the data, or allow more with --max-invalid"
            )


def read_table(
    path: Path,
    invalid: InvalidRecords | None = None,
    incomplete: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> FeatureTable:
    """Read a CSV file, or the CSV files of a folder in the order of their names.

    Args:
        path: file or folder.
        invalid: what happens to invalid records; when None, up to `MOST_INVALID` are left out.
        incomplete: also take records in which values are missing or no numbers.
        report: is told how many records were read just now.

    Raises:
        DataError: it cannot be read, too many records are invalid, or none is left.
    """
    return assemble(_records(path), str(path), invalid or InvalidRecords(), incomplete, report)


def assemble(
    records: Iterable[Record],
    source: str,
    invalid: InvalidRecords,
    incomplete: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> FeatureTable:
    """Make a table of those records that are valid; for the arguments see `read_table`."""
    rows: list[Floats] = []
    labels: list[str] = []
    subjects: list[int] = []
    for record in records:
        report(1)
        values = _floats(record.values)
        if reason := _objection(record, values, incomplete):
            invalid.add(record.place, reason)
            continue
        rows.append(values)
        labels.append(record.label)
        if record.subject is not None:
            subjects.append(int(record.subject))
    if not rows:
        raise DataError(f"{source} has no valid records")
    if subjects and len(subjects) < len(rows):
        raise DataError(
            f"{source} says of some records whose they are, and not of others; convert the files "
            "again, all with --with-subject or all without"
        )
    return FeatureTable(np.stack(rows), labels, np.array(subjects, np.int64) if subjects else None)


def _objection(record: Record, values: Floats, incomplete: bool) -> str:
    """What is wrong with a record; empty when nothing is."""
    if len(values) != len(NAMES):
        return f"{len(values)} features, {len(NAMES)} are expected"
    if not record.label:
        return "there is no label"
    if record.subject is not None and not _WHOLE.fullmatch(record.subject):
        return f"the subject {record.subject[:40]!r} is no whole number"
    bad = np.flatnonzero(~np.isfinite(values))
    if incomplete or not len(bad):
        return ""
    first = int(bad[0])
    if np.isnan(values[first]):
        return f"{VARIABLES[first]} is missing"
    return f"{VARIABLES[first]} is no finite number: {record.values[first][:40]!r}"


def _floats(texts: Sequence[str]) -> Floats:
    try:
        return np.array([float(text) for text in texts])
    except ValueError:
        return np.array([_float(text) for text in texts])


def _float(text: str) -> float:
    if text.strip().lower() in _MISSING:
        return np.nan
    try:
        return float(text)
    except ValueError:
        return np.inf


def _records(path: Path) -> Iterator[Record]:
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path} has no .csv files; `streamer dataset convert` makes them")
    for file in files:
        try:
            # What is no UTF-8 is no number either, and is reported with its line.
            with file.open(encoding="utf-8-sig", errors="replace") as lines:
                yield from _records_of(file, lines)
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror}") from None


def _records_of(file: Path, lines: Iterable[str]) -> Iterator[Record]:
    columns = [LABEL, *VARIABLES, SUBJECT]
    with_subject = False
    for number, line in enumerate(lines, start=1):
        fields = [text.strip() for text in line.split(",")]
        if number == 1:
            with_subject = len(fields) == len(columns)
            if fields[0] == LABEL:
                if fields not in (columns, columns[:-1]):
                    raise DataError(
                        f"{file}, line 1: the columns must be {LABEL},{VARIABLES[0]},...,"
                        f"{VARIABLES[-1]} and, if you like, {SUBJECT}"
                    )
                continue
        values, subject = (fields[1:-1], fields[-1]) if with_subject else (fields[1:], None)
        yield Record(f"{file}, line {number}", fields[0], values, subject)
