"""Reads the records of a data source, from copies of its files on this machine.

A record is a line. Lines are counted over all files, in the order of the names of the files, and
the splitting of the data source chooses among them.
"""

import asyncio
import csv
import gzip
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import NamedTuple

from streamer.predict.quotas import AMAZON_ML_RECORD_BYTES
from streamer.prediction_server.amazon_ml.objects import ObjectStorage, S3Object, explain_disk
from streamer.prediction_server.amazon_ml.schema import DataSchema, InvalidDataError, Splitting
from streamer.prediction_server.amazon_ml.store import Entity

CHUNK = 1000
"""Records that are read at once."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One object of a data source, and its copy on this machine."""

    object: S3Object
    path: Path


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records that follow each other in a file.

    Attributes:
        rows: the fields of each valid record.
        invalid: place and fault of each invalid record.
    """

    rows: list[list[str]]
    invalid: list[str]


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a data source.

    Attributes:
        schema: the columns of the files.
        schema_text: the schema as it was written.
        files: the files.
        splitting: which records belong to the data source.
        total: number of all records of the files.
    """

    schema: DataSchema
    schema_text: str
    files: tuple[DataFile, ...]
    splitting: Splitting
    total: int

    @property
    def size(self) -> int:
        """Size of the files in bytes."""
        return sum(file.object.size for file in self.files)

    def read(self) -> Iterator[Chunk]:
        """Yield the records of all files."""
        for _, chunks in self.read_files():
            yield from chunks

    def read_files(self) -> Iterator[tuple[DataFile, Iterator[Chunk]]]:
        """Yield each file and its records; the records of a file must be read before the next."""
        place = _Place()
        for file in self.files:
            yield file, self._read_file(file, place)

    def _read_file(self, file: DataFile, place: "_Place") -> Iterator[Chunk]:
        rows: list[list[str]] = []
        invalid: list[str] = []
        for number, line in enumerate(_read_lines(file), start=1):
            if number == 1 and self.schema.has_header:
                self._check_header(file, line.text)
            elif line.is_record:
                if self.splitting.uses(place.index, self.total, place.offset):
                    fields = _split_line(line.text)
                    if fault := find_fault(self.schema, fields, line.size):
                        invalid.append(f"{file.object.url}, line {number}: {fault}")
                    else:
                        rows.append(fields)
                place.index += 1
            place.offset += line.size
            if len(rows) + len(invalid) >= CHUNK:
                yield Chunk(rows, invalid)
                rows, invalid = [], []
        yield Chunk(rows, invalid)

    def _check_header(self, file: DataFile, line: bytes) -> None:
        names = [name.strip() for name in _split_line(line)]
        if names != list(self.schema.names):
            pairs = zip(names, self.schema.names, strict=False)
            first = next((pair for pair in pairs if pair[0] != pair[1]), None)
            detail = (
                f"column {first[0][:80]!r} where the schema has {first[1]!r}"
                if first
                else f"{len(names)} columns where the schema has {len(self.schema.names)}"
            )
            raise InvalidDataError(f"the header of {file.object.url} differs: {detail}")


class _Line(NamedTuple):
    """A line of a file.

    Attributes:
        text: the line; the first bytes of one that is too long for a record.
        size: size of the whole line in bytes.
    """

    text: bytes
    size: int

    @property
    def is_record(self) -> bool:
        """Whether the line is not blank."""
        return self.size > AMAZON_ML_RECORD_BYTES or bool(self.text.strip())


@dataclass(slots=True)
class _Place:
    """Number and first byte of the next record."""

    index: int = 0
    offset: int = 0


@asynccontextmanager
async def open_records(source: Entity, storage: ObjectStorage) -> AsyncIterator[Records]:
    """Copy the files of a data source to this machine while the context is open.

    Raises:
        InvalidDataError: the schema or the files cannot be read.
    """
    spec = source.request["DataSpec"]
    if "DataSchema" in spec:
        text: str = spec["DataSchema"]
    else:
        text = (await storage.read(spec["DataSchemaLocationS3"])).decode(errors="replace")
    schema = DataSchema.parse(text)
    objects = await storage.list_data(spec["DataLocationS3"])
    try:
        with tempfile.TemporaryDirectory(prefix="streamer-amazon-ml-") as folder:
            files = []
            for number, each in enumerate(objects):
                path = Path(folder) / str(number)
                await storage.download(each, path)
                files.append(DataFile(each, path))
            total = await asyncio.to_thread(_count, files, schema)
            splitting = Splitting.parse(spec.get("DataRearrangement"))
            yield Records(schema, text, tuple(files), splitting, total)
    except OSError as error:
        raise InvalidDataError(explain_disk(error)) from error


def find_fault(schema: DataSchema, fields: list[str], size: int) -> str:
    """Return why a record is invalid; empty for a valid record.

    A value that is missing is valid; a number that is none is not.
    """
    if size > AMAZON_ML_RECORD_BYTES:
        return f"{size} bytes, a record may have {AMAZON_ML_RECORD_BYTES}"
    if len(fields) != len(schema.names):
        return f"{len(fields)} fields, the schema has {len(schema.names)}"
    for name, kind, field in zip(schema.names, schema.types, fields, strict=True):
        if kind == "NUMERIC" and name not in schema.excluded and not _is_number(field):
            return f"{name} is not a number: {field[:40]!r}"
    return ""


def find_columns(variables: Sequence[str], columns: Sequence[str]) -> list[int]:
    """Return the places of variables among columns.

    Raises:
        InvalidDataError: a column is missing.
    """
    where = {name: i for i, name in enumerate(columns)}
    if missing := [name for name in variables if name not in where]:
        raise InvalidDataError(
            f"{len(missing)} variables of the model are missing in the data, such as {missing[0]}"
        )
    return [where[name] for name in variables]


def is_missing(field: str) -> bool:
    """Return whether a field has no value."""
    return not field or field == "?" or field.lower() in {"na", "n/a", "null", "nan"}


def _is_number(field: str) -> bool:
    try:
        # The difference of infinite numbers is not a number, and no number differs from itself.
        return (value := float(field)) - value == 0 or is_missing(field)
    except ValueError:
        return is_missing(field)


def _count(files: list[DataFile], schema: DataSchema) -> int:
    return sum(
        1
        for file in files
        for number, line in enumerate(_read_lines(file), start=1)
        if line.is_record and not (number == 1 and schema.has_header)
    )


def _read_lines(file: DataFile) -> Iterator[_Line]:
    """Yield the lines of a file; a small compressed file may have one that fills the memory.

    Raises:
        InvalidDataError: the file is compressed, and damaged.
    """
    compressed = file.object.key.endswith(".gz")
    try:
        with file.path.open("rb") as raw:
            stream: BufferedIOBase = gzip.GzipFile(fileobj=raw) if compressed else raw
            read = partial(stream.readline, AMAZON_ML_RECORD_BYTES + 1)
            for text in iter(read, b""):
                size, rest = len(text), text
                while len(rest) > AMAZON_ML_RECORD_BYTES and not rest.endswith(b"\n"):
                    rest = read()
                    size += len(rest)
                yield _Line(text, size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidDataError(
            f"{file.object.url} is damaged or cut off: {error}; write it again"
        ) from None


def _split_line(line: bytes) -> list[str]:
    text = line.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    # The reader of the standard library takes three times as long as `split`.
    return next(csv.reader([text])) if '"' in text else text.split(",")
