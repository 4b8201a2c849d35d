"""Labelled features as a table, and the CSV files that hold one.

A file has a header and a line for each record: the label, the 561 features on the published scale,
and optionally the subject::

    label,Var001,...,Var561[,subject]

A file without the header is accepted. The files of a folder make one table.
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
"""Names of the features in CSV files and schemas."""
SUBJECT: Final = "subject"
MOST_INVALID = 10_000
"""Reading stops at more invalid records than this, as in Amazon ML."""

_WHOLE = re.compile(r"[0-9]{1,18}")
_MISSING = {"", "?", "na", "n/a", "null"}


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Labelled records.

    Attributes:
        features: (n, 561) on the published scale. With `incomplete` records, NaN stands for a
            missing value and infinity for an invalid one.
        labels: n labels of the source.
        subjects: (n,), numbers of the subjects; None when the source has none.
        names: names of the labels, where the source has any.
    """

    features: Floats
    labels: list[str]
    subjects: Ints | None
    names: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line of a source.

    Attributes:
        place: file and line, for errors.
        subject: None when the source has none.
    """

    place: str
    label: str
    values: Sequence[str]
    subject: str | None


class InvalidRecords:
    """Counts and reports invalid records, and stops when there are too many."""

    def __init__(
        self, most: int = MOST_INVALID, report: Callable[[str], None] = lambda _: None
    ) -> None:
        self._most = most
        self._report = report
        self.count = 0

    def add(self, place: str, reason: str) -> None:
        """Count an invalid record.

        Raises:
            DataError: there are too many.
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
        path: the file or folder.
        invalid: counts the invalid records; when None, up to `MOST_INVALID` are left out.
        incomplete: whether to keep records with missing or invalid values.
        report: called with the number of records that were read just now.

    Raises:
        DataError: a file cannot be read, or too many or all records are invalid.
    """
    return assemble_table(
        read_rows(path), str(path), invalid or InvalidRecords(), incomplete, report
    )


def assemble_table(
    records: Iterable[TableRow],
    source: str,
    invalid: InvalidRecords,
    incomplete: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> FeatureTable:
    """Return a table of the valid records. For the arguments see `read_table`."""
    rows: list[Floats] = []
    labels: list[str] = []
    subjects: list[int] = []
    for record, values in find_valid(records, invalid, incomplete, report):
        rows.append(values)
        labels.append(record.label)
        if record.subject is not None:
            subjects.append(int(record.subject))
    if not rows:
        raise DataError(f"{source} has no valid records")
    if subjects and len(subjects) < len(rows):
        raise DataError(
            f"{source} has a subject for some records only; convert the files again, all with "
            "--with-subject or all without"
        )
    return FeatureTable(np.stack(rows), labels, np.array(subjects, np.int64) if subjects else None)


def find_valid(
    records: Iterable[TableRow],
    invalid: InvalidRecords,
    incomplete: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[TableRow, Floats]]:
    """Yield the valid records with their features (561,). For the arguments see `read_table`."""
    for record in records:
        report(1)
        values = _parse_floats(record.values)
        if reason := _find_fault(record, values, incomplete):
            invalid.add(record.place, reason)
        else:
            yield record, values


def _find_fault(record: TableRow, values: Floats, incomplete: bool) -> str:
    """Return what is wrong with a record; empty when it is valid."""
    if len(values) != len(NAMES):
        return f"{len(values)} features, {len(NAMES)} are expected"
    if not record.label:
        return "the label is missing"
    if record.subject is not None and not _WHOLE.fullmatch(record.subject):
        return f"the subject {record.subject[:40]!r} is not a whole number"
    bad = np.flatnonzero(~np.isfinite(values))
    if incomplete or not len(bad):
        return ""
    first = int(bad[0])
    if np.isnan(values[first]):
        return f"{VARIABLES[first]} is missing"
    return f"{VARIABLES[first]} is not a finite number: {record.values[first][:40]!r}"


def _parse_floats(texts: Sequence[str]) -> Floats:
    try:
        return np.array([float(text) for text in texts])
    except ValueError:
        return np.array([_parse_float(text) for text in texts])


def _parse_float(text: str) -> float:
    if text.strip().lower() in _MISSING:
        return np.nan
    try:
        return float(text)
    except ValueError:
        return np.inf


def read_rows(
    path: Path, report_share: Callable[[float], None] = lambda _: None
) -> Iterator[TableRow]:
    """Yield the lines of a CSV file, or of the CSV files of a folder, without checking the values.

    Args:
        path: the file or folder.
        report_share: called after each line with the share of all bytes that was read, 0 to 1.

    Raises:
        DataError: there is no file, or one cannot be read.
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path} has no .csv files; `streamer dataset convert` writes them")
    size = sum(file.stat().st_size for file in files if file.exists())
    read = 0
    for file in files:
        try:
            # Invalid UTF-8 is replaced, and so reported as an invalid number.
            with file.open(encoding="utf-8-sig", errors="replace") as lines:
                for row, characters in _read_file(file, lines):
                    read += characters
                    report_share(min(1.0, read / size))
                    yield row
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror}") from None


def _read_file(file: Path, lines: Iterable[str]) -> Iterator[tuple[TableRow, int]]:
    """Yield the rows of a file, each with the number of its characters."""
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
                        f"{VARIABLES[-1]} and optionally {SUBJECT}"
                    )
                continue
        values, subject = (fields[1:-1], fields[-1]) if with_subject else (fields[1:], None)
        yield TableRow(f"{file}, line {number}", fields[0], values, subject), len(line)
