"""Reads text files that hold a row of numbers in each line."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from streamer.errors import DataError

_Number = TypeVar("_Number", int, float)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file.

    Raises:
        DataError: the file is missing, cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def parse_rows(
    path: Path,
    lines: Iterable[str],
    parse: Callable[[str], _Number],
    columns: str,
    kind: str = "whole numbers",
    separator: str | None = None,
    first_line: int = 1,
) -> Iterator[list[_Number]]:
    """Parse each line into one row.

    Args:
        path: the file, for errors.
        lines: its lines.
        parse: parses one field; raises ValueError for a malformed one.
        columns: names of the columns, separated by spaces.
        kind: what `parse` accepts, for errors.
        separator: between fields; white space when None.
        first_line: number of the first line, for errors.

    Raises:
        DataError: a line does not hold these columns; says which.
    """
    count = len(columns.split())
    for number, line in enumerate(lines, first_line):
        try:
            row = [parse(field) for field in line.split(separator)]
        except ValueError:
            row = []
        if len(row) != count:
            raise DataError(
                f"{path}, line {number}: expected {count} {kind} ({columns}), found {line[:60]!r}; "
                "copy the file again or correct the line"
            )
        yield row
