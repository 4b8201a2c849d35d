"""Publishes a file of JSON records unchanged, in the format in which devices wrote them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamer.datasets.json_readings import read_json_file
from streamer.profiles.choose_decoder import Decoder
from streamer.publishing.publisher import DeviceRecord


class RecordFile:
    """The records of a file. All are due at once, because their times are not changed.

    Attributes:
        samples: how many a worker gets out of them.

    Args:
        path: a file with a record in each line, or with a single one.
        decode: decodes records, to find their devices.

    Raises:
        DataError: the file cannot be read, or is empty.
    """

    def __init__(self, path: Path, decode: Decoder) -> None:
        records, decoded = read_json_file(path, decode)
        samples = np.bincount(decoded.record, minlength=len(records)).tolist()
        self._messages = [
            DeviceRecord(record.key, record.value, [], count)
            for record, count in zip(records, samples, strict=True)
        ]
        self.samples = sum(samples)

    def until(self, time_ms: float) -> Sequence[DeviceRecord]:  # noqa: ARG002 - as other sources
        """Return all records, only once."""
        messages, self._messages = self._messages, []
        return messages
