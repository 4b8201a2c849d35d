"""Reads a text file of samples into columns, with any separator, header and comments."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamer.arrays import Bools, Floats, Ints, Strings
from streamer.errors import DataError
from streamer.profiles.profile import FileLayout

Cells = npt.NDArray[np.bytes_]
"""A column (rows,) in UTF-8, which takes a quarter of the memory of NumPy's strings."""

_SEPARATORS = {"tab": "\t", "space": " "}
_LINES_LOOKED_AT = 20
_LINES_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class TextColumns:
    """The columns of a file as texts.

    Attributes:
        path: the file, for errors.
        cells: each column by its name, in their order.
        lines: (rows,), numbers of the lines, for errors.
    """

    path: Path
    cells: Mapping[str, Cells]
    lines: Ints

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.cells)

    def texts(self, name: str) -> Strings:
        """Return a column (rows,) without white space around its values.

        Raises:
            DataError: there is no such column.
        """
        texts: Strings = np.char.decode(np.char.strip(self._find(name)), "utf-8")
        return texts

    def numbers(self, names: Sequence[str]) -> Floats:
        """Return columns (rows, names) as numbers. NaN stands for an empty cell.

        Raises:
            DataError: a column is missing, or a cell is not a finite number; says which line.
        """
        columns = [self._parse(name) for name in names]
        return np.stack(columns, axis=1)

    def where(self, conditions: Mapping[str, str]) -> "TextColumns":
        """Return the rows in which columns have these values."""
        keep = np.ones(len(self), bool)
        for name, value in conditions.items():
            keep &= self.texts(name) == value
        return self if keep.all() else self._select(keep)

    def split(self, names: Sequence[str]) -> Iterator[tuple[tuple[str, ...], "TextColumns"]]:
        """Yield the rows of each different combination of values in these columns."""
        keys = np.stack([self.texts(name) for name in names], axis=1)
        different, which = np.unique(keys, axis=0, return_inverse=True)
        for i, key in enumerate(different.tolist()):
            yield tuple(key), self._select(which.ravel() == i)

    def _select(self, rows: Bools) -> "TextColumns":
        cells = {name: column[rows] for name, column in self.cells.items()}
        return TextColumns(self.path, cells, self.lines[rows])

    def _find(self, name: str) -> Cells:
        if name not in self.cells:
            raise DataError(
                f"{self.path} has no column {name!r}; it has {', '.join(map(repr, self.names))}: "
                "name yours in the profile"
            )
        return self.cells[name]

    def _parse(self, name: str) -> Floats:
        cells = np.char.strip(self._find(name))
        cells = np.where(cells == b"", b"nan", cells)
        try:
            values: Floats = cells.astype(np.float64)
        except ValueError:
            values = np.array([_parse_or_inf(cell) for cell in cells.tolist()])
        if np.isinf(values).any():
            row = int(np.flatnonzero(np.isinf(values))[0])
            text = cells[row].decode()[:40]
            remedy = "export with decimal points" if "," in text else "correct or remove the line"
            raise DataError(
                f"{self.path}, line {self.lines[row]}: {name} is not a finite number: {text!r}; "
                f"{remedy}"
            )
        return values


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
            lines = (
                (number, line.rstrip("\r\n"))
                for number, line in enumerate(file, 1)
                if line.strip() and not (layout.comment and line.startswith(layout.comment))
            )
            return _read_lines(path, lines, layout)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def _read_lines(path: Path, lines: Iterator[tuple[int, str]], layout: FileLayout) -> TextColumns:
    first = list(islice(lines, _LINES_LOOKED_AT))
    if not first:
        raise DataError(f"{path} has no samples")
    separator = _SEPARATORS.get(layout.separator, layout.separator) or _find_separator(
        [line for _, line in first]
    )
    names = layout.columns
    if not names:
        [header] = _split_lines([first.pop(0)[1]], separator)
        names = tuple(name.strip() for name in header)
    rest, parts, numbers = chain(first, lines), [], []
    while chunk := list(islice(rest, _LINES_AT_ONCE)):
        rows = _split_lines([line for _, line in chunk], separator)
        for (number, line), row in zip(chunk, rows, strict=False):
            if len(row) != len(names):
                raise DataError(
                    f"{path}, line {number}: {len(row)} columns, {len(names)} are expected "
                    f"({', '.join(names)}), found {line[:60]!r}; correct or remove the line"
                )
        parts.append(
            [np.array([cell.encode() for cell in column]) for column in zip(*rows, strict=True)]
        )
        numbers += [number for number, _ in chunk]
    empty = np.empty(0, "S1")
    cells = {
        name: np.concatenate([part[i] for part in parts]) if parts else empty
        for i, name in enumerate(names)
    }
    return TextColumns(path, cells, np.array(numbers, np.int64))


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


def _parse_or_inf(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return np.inf
