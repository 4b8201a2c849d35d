"""Reads a text file of samples into columns, whatever its separator, header and comments."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from streamer.arrays import Floats, Ints, Strings
from streamer.errors import DataError
from streamer.profiles.profile import FileLayout

_SEPARATORS = {"tab": "\t", "space": " "}
_LINES_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class TextColumns:
    """The columns of a file as texts.

    Attributes:
        path: the file, for errors.
        names: names of the columns.
        cells: (rows, columns).
        lines: (rows,), numbers of the lines, for errors.
    """

    path: Path
    names: tuple[str, ...]
    cells: Strings
    lines: Ints

    def __len__(self) -> int:
        return len(self.cells)

    def texts(self, name: str) -> Strings:
        """Return a column (rows,) without white space around its values.

        Raises:
            DataError: there is no such column.
        """
        return np.char.strip(self.cells[:, self._find(name)])

    def numbers(self, names: Sequence[str]) -> Floats:
        """Return columns (rows, names) as numbers. NaN stands for an empty cell.

        Raises:
            DataError: a column is missing, or a cell is not a finite number; says which line.
        """
        cells = self.cells[:, [self._find(name) for name in names]]
        cells = np.where(np.char.strip(cells) == "", "nan", cells)
        try:
            values: Floats = cells.astype(np.float64)
        except ValueError:
            values = np.array([[_parse_or_inf(cell) for cell in row] for row in cells.tolist()])
        if np.isinf(values).any():
            row, column = np.argwhere(np.isinf(values))[0].tolist()
            raise DataError(
                f"{self.path}, line {self.lines[row]}: {names[column]} is not a finite number: "
                f"{cells[row, column][:40]!r}; correct or remove the line"
            )
        return values

    def where(self, conditions: dict[str, str]) -> "TextColumns":
        """Return the rows in which columns have these values."""
        keep = np.ones(len(self), bool)
        for name, value in conditions.items():
            keep &= self.texts(name) == value
        return TextColumns(self.path, self.names, self.cells[keep], self.lines[keep])

    def split(self, names: Sequence[str]) -> Iterator[tuple[tuple[str, ...], "TextColumns"]]:
        """Yield the rows of each different combination of values in these columns."""
        keys = np.stack([self.texts(name) for name in names], axis=1)
        different, which = np.unique(keys, axis=0, return_inverse=True)
        for i, key in enumerate(different.tolist()):
            rows = which.ravel() == i
            part = TextColumns(self.path, self.names, self.cells[rows], self.lines[rows])
            yield tuple(key), part

    def _find(self, name: str) -> int:
        if name not in self.names:
            raise DataError(
                f"{self.path} has no column {name!r}; it has {', '.join(map(repr, self.names))}: "
                "name yours in the profile"
            )
        return self.names.index(name)


def read_text_columns(path: Path, layout: FileLayout) -> TextColumns:
    """Read a file.

    Args:
        path: the file; UTF-8.
        layout: its separator, comments, and the names of its columns when it has no header.

    Raises:
        DataError: the file cannot be read, is empty, or a line has another number of columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [
                (number, line.rstrip("\r\n"))
                for number, line in enumerate(file, 1)
                if line.strip() and not (layout.comment and line.startswith(layout.comment))
            ]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if not lines:
        raise DataError(f"{path} has no samples")
    separator = _SEPARATORS.get(layout.separator, layout.separator) or _find_separator(
        [line for _, line in islice(lines, _LINES_LOOKED_AT)]
    )
    rows = _split_lines([line for _, line in lines], separator)
    names = layout.columns
    if not names:
        names, rows, lines = tuple(name.strip() for name in rows[0]), rows[1:], lines[1:]
    for (number, line), row in zip(lines, rows, strict=True):
        if len(row) != len(names):
            raise DataError(
                f"{path}, line {number}: {len(row)} columns, {len(names)} are expected "
                f"({', '.join(names)}), found {line[:60]!r}; correct or remove the line"
            )
    cells = np.array(rows, np.str_).reshape(len(rows), len(names))
    return TextColumns(path, names, cells, np.array([number for number, _ in lines], np.int64))


def _split_lines(lines: Sequence[str], separator: str) -> list[list[str]]:
    # Some programs end each line with a semicolon, which is not a column.
    ended = lines if separator == ";" else [line.rstrip().removesuffix(";") for line in lines]
    if separator == " ":
        return [line.split() for line in ended]
    return list(csv.reader(ended, delimiter=separator))


def _find_separator(lines: Sequence[str]) -> str:
    """Return the separator that occurs in every line equally often, or else most often."""

    def rate(separator: str) -> tuple[bool, int]:
        counts = [line.rstrip("; ").count(separator) for line in lines]
        return len(set(counts)) == 1 and counts[0] > 0, sum(counts)

    return max((",", ";", "\t", " "), key=rate)


def _parse_or_inf(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.inf
