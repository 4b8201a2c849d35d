"""The files of a batch: features as CSV with a schema, and the results of Amazon ML.

A window is a line that begins with its tag. Amazon ML writes the tag beside the scores, so results
need no order. Lines of the same windows may come in another order after a crash, because other
records were fetched together: the digest of a file does not depend on the order.
"""

import csv
import gzip
import io
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from streamer.arrays import Floats
from streamer.errors import UNDECODABLE
from streamer.features import NAMES
from streamer.predict.endpoint_protocol import InvalidAnswerError

TAG: Final = "window"
"""Name of the column with the tag of a window."""


def make_schema(variable: str) -> str:
    """Return the schema of the lines, as Amazon ML reads it.

    Args:
        variable: format of the names of the features, with their number from 1.
    """
    names = [variable.format(number) for number in range(1, len(NAMES) + 1)]
    types = {TAG: "CATEGORICAL", **dict.fromkeys(names, "NUMERIC")}
    schema = {
        "version": "1.0",
        "recordAnnotationFieldName": TAG,
        "dataFormat": "CSV",
        "dataFileContainsHeader": False,
        "attributes": [{"fieldName": name, "fieldType": kind} for name, kind in types.items()],
    }
    return msgspec.json.encode(schema).decode()


class Tags:
    """Names windows by digests: an id may have any characters, and occur twice.

    A device whose clock goes back has windows with ids that it has used before.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def name(self, window_id: str) -> str:
        """Return the tag of the next window with this id."""
        count = self._seen[window_id] = self._seen.get(window_id, 0) + 1
        return blake2b(f"{count} {window_id}".encode(), digest_size=12).hexdigest()


class FeatureFile:
    """Collects windows in a temporary file.

    Attributes:
        path: the file.
        count: number of windows.
    """

    def __init__(self) -> None:
        number, name = tempfile.mkstemp(".csv", "streamer-batch-")
        self._file = os.fdopen(number, "wb")
        self._tags = Tags()
        self._sum = 0
        self.path = Path(name)
        self.count = 0

    def add(self, window_ids: Sequence[str], features: Floats) -> None:
        """Add windows with features (n, features).

        Raises:
            OSError: the file cannot be written.
        """
        for window_id, row in zip(window_ids, features.tolist(), strict=True):
            line = f"{self._tags.name(window_id)},{','.join(map(repr, row))}\n".encode()
            self._sum += int.from_bytes(blake2b(line, digest_size=16).digest())
            self._file.write(line)
        self.count += len(window_ids)

    def complete(self) -> bytes:
        """Complete the file; return a digest of its lines, whatever their order."""
        self._file.close()
        self._tags = Tags()
        return (self._sum % 2**128).to_bytes(16) + self.count.to_bytes(8)

    def remove(self) -> None:
        """Remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def read_manifest(content: bytes) -> list[str]:
    """Return the addresses of the results, `s3://...`, from a manifest.

    Raises:
        InvalidAnswerError: it is not a manifest.
    """
    try:
        return list(msgspec.json.decode(content, type=dict[str, str]).values())
    except UNDECODABLE as error:
        raise InvalidAnswerError(f"the manifest is not complete: {error}") from None


def read_lines(content: bytes) -> Iterator[list[str]]:
    """Return the lines of a compressed file of results; the first one names the columns.

    Raises:
        InvalidAnswerError: the file is cut off or damaged.
    """
    try:
        text = gzip.decompress(content).decode()
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise InvalidAnswerError(f"a file of results is cut off or damaged: {error}") from None
    return csv.reader(io.StringIO(text))


def read_results(content: bytes, labels: Sequence[str]) -> Iterator[tuple[str, list[float]]]:
    """Yield tag and scores of each line of results.

    Args:
        content: a compressed file of results.
        labels: labels of the classes, in the order of the scores to return.

    Raises:
        InvalidAnswerError: the file is cut off, or does not have these columns.
    """
    lines = read_lines(content)
    header = next(lines, [])
    if sorted(header) != sorted(["tag", *labels]):
        raise InvalidAnswerError(
            f"a file of results has the columns {', '.join(header)[:200]}, expected tag, "
            f"{', '.join(labels)}; the setting endpoint_labels names the labels"
        )
    tag, *columns = (header.index(name) for name in ("tag", *labels))
    for line in lines:
        try:
            yield line[tag], [float(line[column]) for column in columns]
        except (IndexError, ValueError):
            raise InvalidAnswerError("a line of results is cut off or damaged") from None


def tag_windows(window_ids: Sequence[str]) -> list[str]:
    """Return the tags of all windows of a batch, in the order in which they were added."""
    tags = Tags()
    return [tags.name(window_id) for window_id in window_ids]


def order_scores(tags: Sequence[str], found: Mapping[str, list[float]]) -> tuple[list[int], Floats]:
    """Return the positions of the windows with results, ascending, and their scores (k, classes).

    Raises:
        InvalidAnswerError: there are results of windows that are not in the batch.
    """
    rows = [row for row, tag in enumerate(tags) if tag in found]
    if len(rows) < len(found):
        raise InvalidAnswerError("there are results of windows that are not in the batch")
    return rows, np.array([found[tags[row]] for row in rows], np.float64)


def find_features(lines: Iterable[bytes], tags: Mapping[str, int]) -> dict[int, Floats]:
    """Return the features of some windows by their number.

    Args:
        lines: of a stored file.
        tags: the number of each wanted window, by its tag.
    """
    found = {}
    for line in lines:
        tag, _, values = line.decode().partition(",")
        if tag in tags:
            found[tags[tag]] = np.array([float(value) for value in values.split(",")])
    return found
