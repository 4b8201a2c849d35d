"""Reads recordings of one's own: a CSV file each, with columns by any name.

A row is a sample. A segment is where a label goes on; where it is empty, nobody knows. The subject
is in a column, or the file's name is.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np

from streamer.arrays import Floats
from streamer.datasets.class_names import activity_of_label
from streamer.datasets.recording import Recording, Segment
from streamer.errors import DataError
from streamer.features import UCI_HAR

STANDARD_GRAVITY = 9.80665
"""Metres per second squared in one g."""

_SAME_RATE = 0.05
"""By how much the rate may be off, as in the worker."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns, and what their numbers mean.

    Attributes:
        acc, gyro: of the three axes, x y z.
        label: of what was done.
        time: of a sample's time in seconds; "" when samples are simply at 50 Hz.
        subject: of who it was; "" when the file's name says it.
        acc_unit: of acceleration; the gyroscope is in radians per second.
    """

    acc: tuple[str, str, str] = ("acc_x", "acc_y", "acc_z")
    gyro: tuple[str, str, str] = ("gyro_x", "gyro_y", "gyro_z")
    label: str = "label"
    time: str = ""
    subject: str = ""
    acc_unit: Literal["g", "m/s2"] = "g"


def read_csv_recordings(folder: Path, columns: Columns) -> Iterator[Recording]:
    """Read the ``.csv`` files of a folder, one at a time, in the order of their names.

    Raises:
        DataError: there is none, or one is malformed; says which file and line.
    """
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise DataError(f"{folder} has no recordings: expected .csv files, one for each")
    return (_read_recording(file, columns) for file in files)


def _read_recording(path: Path, columns: Columns) -> Recording:
    numbers = [*columns.acc, *columns.gyro, *filter(None, [columns.time])]
    values: list[list[float]] = []
    labels: list[str] = []
    subjects: set[str] = set()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            wanted = {*numbers, columns.label, *filter(None, [columns.subject])}
            if missing := wanted - set(rows.fieldnames or ()):
                raise DataError(
                    f"{path} has no column {', '.join(sorted(missing))}; it has "
                    f"{', '.join(rows.fieldnames or ())}: name yours with --columns"
                )
            for row in rows:
                values.append(_floats(row, numbers, f"{path}, line {rows.line_num}"))
                labels.append((row[columns.label] or "").strip())
                subjects.add(row[columns.subject].strip() if columns.subject else path.stem)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if len(subjects) != 1:
        raise DataError(f"{path} has samples of {len(subjects)} subjects: a recording is of one")
    samples = np.array(values).reshape(-1, len(numbers))
    if columns.time:
        _check_rate(path, samples[:, 6])
    if columns.acc_unit == "m/s2":
        samples[:, :3] /= STANDARD_GRAVITY
    return Recording(path.stem, subjects.pop(), samples[:, :6].copy(), tuple(_segments(labels)))


def _floats(row: dict[str, str], names: list[str], place: str) -> list[float]:
    try:
        values = [float(row[name]) for name in names]
    except (TypeError, ValueError):
        values = [np.nan]
    if not np.isfinite(values).all():
        raise DataError(f"{place}: expected finite numbers in {', '.join(names)}")
    return values


def _check_rate(path: Path, times: Floats) -> None:
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    if abs(step * UCI_HAR.rate_hz - 1) > _SAME_RATE:
        raise DataError(
            f"{path}: samples are {step:g} s apart, {1 / UCI_HAR.rate_hz:g} s are expected; "
            f"resample the recording to {UCI_HAR.rate_hz} Hz"
        )


def _segments(labels: list[str]) -> Iterator[Segment]:
    first = 0
    for label, group in groupby(labels):
        last = first + len(list(group))
        if label:
            yield Segment(activity_of_label(label), first, last)
        first = last
