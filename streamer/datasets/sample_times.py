"""Reads the times of samples in microseconds from the columns of a file."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.datasets.text_columns import TextColumns
from streamer.datasets.text_rows import read_lines
from streamer.errors import DataError
from streamer.profiles.layouts import TimeLayout
from streamer.profiles.units import EPOCHS_US, TIME_UNITS


def parse_times(rows: TextColumns, layout: TimeLayout) -> Ints:
    """Return the time (rows,) of each row in microseconds.

    Raises:
        DataError: a time is missing or malformed; says which line.
    """
    if layout.rate_hz is not None:
        return np.round(np.arange(len(rows)) * (1e6 / layout.rate_hz)).astype(np.int64)
    if layout.unit == "iso8601":
        return np.array(
            [
                _parse_iso(text, rows.path, line)
                for text, line in zip(rows.texts(layout.field), rows.lines, strict=True)
            ],
            np.int64,
        )
    values = rows.numbers([layout.field])[:, 0]
    if np.isnan(values).any():
        line = rows.lines[np.isnan(values)][0]
        raise DataError(f"{rows.path}, line {line}: {layout.field} is missing")
    epoch_us = EPOCHS_US.get(layout.since, 0)
    return np.round(values * TIME_UNITS[layout.unit]).astype(np.int64) + epoch_us


def _parse_iso(text: str, path: Path, line: int) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(
            f"{path}, line {line}: {text[:40]!r} is not a time such as 2026-05-17T12:00:00.123Z"
        ) from None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.fromtimestamp(
        0, UTC
    )
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


@dataclass(frozen=True, slots=True)
class Clock:
    """When a recording was started, each time after a pause.

    Attributes:
        starts_us: (n,), time of each start, as the samples count it.
        epochs_us: (n,), the same since 1970.
    """

    starts_us: Floats
    epochs_us: Floats

    def to_epoch(self, times_us: Ints) -> Ints:
        """Return times since 1970 of times that do not count pauses."""
        which = np.searchsorted(self.starts_us, times_us, "right") - 1
        which = np.maximum(which, 0)
        epochs: Ints = np.round(times_us - self.starts_us[which] + self.epochs_us[which]).astype(
            np.int64
        )
        return epochs


def read_clock(path: Path) -> Clock:
    """Read a file of starts and pauses, as phyphox exports it.

    Raises:
        DataError: the file is missing or has no start.
    """
    starts = []
    for line in read_lines(path):
        fields = [field.strip('"') for field in line.split(",")]
        if fields[0] == "START":
            try:
                starts.append([float(fields[1]) * 1e6, float(fields[2]) * 1e6])
            except (IndexError, ValueError):
                raise DataError(
                    f"{path}: expected START and two numbers of seconds, found {line[:60]!r}"
                ) from None
    if not starts:
        raise DataError(f"{path} has no START")
    times = np.array(starts)
    return Clock(times[:, 0], times[:, 1])
