"""Writes predicted windows to files of bounded size: CSV, or Parquet with the extra `parquet`.

| column | holds |
|---|---|
| `source` | the recording; or file and line of a record |
| `start_s` | start of the window, seconds since the start of the recording; empty for a record |
| `subject`, `truth` | as the source says; empty where it does not |
| `activity`, `reason`, `confidence`, `activity_raw`, `label`, `predictor` | as in an event |
| `scores` | probability of each class by label: a map in Parquet, a JSON object in CSV |
| `Var001` ... | the features, in the order of the feature set that `summary.json` names |
"""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import msgspec
import numpy as np

from streamer.arrays import Floats
from streamer.errors import SettingsError

OutputFormat = Literal["parquet", "csv"]
FILE_ROWS: Final = 5 * 4096
"""Rows of a file at most: some 90 MB of features."""


@dataclass(frozen=True, slots=True)
class PredictedWindow:
    """A row of a file, without its features; the fields are the columns."""

    source: str
    start_s: float | None
    subject: str | None
    truth: str | None
    activity: str
    reason: str | None
    confidence: float | None
    activity_raw: str | None
    label: str | None
    predictor: str | None
    scores: dict[str, float]


COLUMNS: Final = tuple(field.name for field in fields(PredictedWindow))


class FileWriter(Protocol):
    """Writes the rows of one file."""

    def write(self, rows: Sequence[PredictedWindow], features: Floats | None) -> None:
        """Append rows, with features (n, features) or without."""

    def close(self) -> None:
        """Complete the file."""


def require(file_format: OutputFormat) -> None:
    """Check that a format can be written.

    Raises:
        SettingsError: the package that writes it is missing.
    """
    if file_format == "parquet" and find_spec("pyarrow") is None:
        raise SettingsError(
            "Parquet needs the package pyarrow: pip install 'streamer[parquet]', or choose "
            "--format csv"
        )


class PredictionFiles:
    """Writes rows to files in a folder, and begins a new file after `FILE_ROWS` rows."""

    def __init__(self, folder: Path, file_format: OutputFormat, features: int) -> None:
        self._folder = folder
        self._format = file_format
        self._features = [f"Var{i:03d}" for i in range(1, features + 1)]
        self._writer: FileWriter | None = None
        self._rows = 0
        self.count = 0

    def write(self, rows: Sequence[PredictedWindow], features: Floats) -> None:
        """Append rows, with their features (n, features) if they are written."""
        for begin in range(0, len(rows), FILE_ROWS):
            some = rows[begin : begin + FILE_ROWS]
            if self._rows + len(some) > FILE_ROWS:
                self.close()
            writer = self._writer or self._begin()
            writer.write(some, features[begin : begin + len(some)] if self._features else None)
            self._rows += len(some)

    def _begin(self) -> FileWriter:
        self.count += 1
        path = self._folder / f"part-{self.count:05d}.{self._format}"
        make = _ParquetFile if self._format == "parquet" else _CsvFile
        self._writer = make(path, self._features)
        return self._writer

    def close(self) -> None:
        """Complete the file that is being written."""
        if self._writer is not None:
            self._writer.close()
        self._writer, self._rows = None, 0


@contextmanager
def open_prediction_files(
    folder: Path, file_format: OutputFormat, features: int
) -> Iterator[PredictionFiles]:
    """Yield a writer of files in a folder; close its last file at the end.

    Args:
        folder: the folder.
        file_format: of the files.
        features: number of features of a row; 0 to leave them out.
    """
    files = PredictionFiles(folder, file_format, features)
    try:
        yield files
    finally:
        files.close()


class _CsvFile:
    """A CSV file; a number is the shortest text that reads back as the same number."""

    def __init__(self, path: Path, features: list[str]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._lines = csv.writer(self._file, lineterminator="\n")
        self._lines.writerow([*COLUMNS, *features])

    def write(self, rows: Sequence[PredictedWindow], features: Floats | None) -> None:
        values = [[]] * len(rows) if features is None else features.tolist()
        for row, own in zip(rows, values, strict=True):
            *texts, _ = astuple(row)
            # An empty cell is a value that is missing.
            known = ["" if isnan(value) else value for value in own]
            self._lines.writerow([*texts, msgspec.json.encode(row.scores).decode(), *known])

    def close(self) -> None:
        self._file.close()


class _ParquetFile:
    """A Parquet file; each write becomes a row group."""

    def __init__(self, path: Path, features: list[str]) -> None:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - an extra

        self._pa = pa
        types: dict[str, Any] = dict.fromkeys(COLUMNS, pa.string())
        types |= dict.fromkeys(("start_s", "confidence"), pa.float64())
        types["scores"] = pa.map_(pa.string(), pa.float64())
        types |= dict.fromkeys(features, pa.float64())
        self._schema = pa.schema(list(types.items()))
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Sequence[PredictedWindow], features: Floats | None) -> None:
        pa = self._pa
        columns: list[Any] = [[getattr(row, name) for row in rows] for name in COLUMNS[:-1]]
        columns.append([list(row.scores.items()) for row in rows])
        if features is not None:
            columns += list(np.ascontiguousarray(features.T))
        arrays = [
            pa.array(column, field.type, from_pandas=isinstance(column, np.ndarray))
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()
