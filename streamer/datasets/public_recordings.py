"""Reads recordings in the layout of the public UCI HAR / HAPT download.

``RawData/`` holds, for every experiment, ``acc_exp01_user01.txt`` and ``gyro_exp01_user01.txt``
(one sample a line, ``x y z``; g and rad/s, at 50 Hz) and one ``labels.txt`` (``experiment user
activity start end``, samples counted from 1, the end included). What the numbers of activities mean
is in ``activity_labels.txt``, in the folder or beside it: ``4 SITTING``, ``7 STAND_TO_SIT``.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

import numpy as np

from streamer.arrays import Floats
from streamer.datasets.class_names import PUBLIC_NAMES, activity_of_label
from streamer.errors import DataError

_FILE = re.compile(r"acc_exp(\d+)_user(\d+)\.txt")
_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True)
class Recording:
    """One person carrying one phone through one experiment.

    Attributes:
        acc_gyro: (n, 6), acceleration x y z in g and gyroscope x y z in rad/s, at 50 Hz.
    """

    experiment: int
    user: int
    acc_gyro: Floats

    @property
    def device_id(self) -> str:
        """The name under which the recording is replayed."""
        return device_id(self.experiment, self.user)


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples ``start0 <= i < end0`` (from 0) of a recording: one activity, or one movement."""

    activity: str
    start0: int
    end0: int


@dataclass(frozen=True, slots=True)
class Session:
    """A recording whose activities are known.

    Attributes:
        device_id: the recording's name.
        subject: who it is of.
        acc_gyro: (n, 6), as in `Recording`.
        segments: in the order of time, not overlapping.
    """

    device_id: str
    subject: str
    acc_gyro: Floats
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A window of the published data set, located: it starts at sample ``start0`` (from 0)."""

    row: int
    subject: int
    activity: int
    experiment: int
    start0: int


def device_id(experiment: int, user: int) -> str:
    """The name under which a recording is replayed: ``exp01_user01``."""
    return f"exp{experiment:02d}_user{user:02d}"


def read_recordings(raw_dir: Path, only: str = "*") -> Iterator[Recording]:
    """Read the recordings of a folder, one at a time, in the order of their file names.

    Args:
        raw_dir: with the recordings.
        only: glob pattern of the device ids to read; the other files are not opened.

    Raises:
        DataError: there is no recording, or one is malformed; says which file and line.
    """
    files = {
        device_id(int(name[1]), int(name[2])): path
        for path in sorted(raw_dir.glob("acc_exp*_user*.txt"))
        if (name := _FILE.match(path.name))
    }
    if not files:
        raise DataError(
            f"no recordings in {raw_dir}: expected files such as acc_exp01_user01.txt and "
            "gyro_exp01_user01.txt, as in the folder RawData of the public data set"
        )
    chosen = [path for device, path in files.items() if fnmatchcase(device, only)]
    if not chosen:
        known = list(files)
        raise DataError(f"no device id matches {only!r}: {raw_dir} has {known[0]} to {known[-1]}")
    return map(_read_recording, chosen)


def read_labelled_recordings(raw_dir: Path) -> Iterator[Session]:
    """Read the recordings of a folder with their labels, one at a time.

    Raises:
        DataError: as `read_recordings` and `read_labels`.
    """
    labels = read_labels(raw_dir / "labels.txt")
    for recording in read_recordings(raw_dir):
        segments = sorted(labels.get(recording.device_id, []), key=lambda s: s.start0)
        yield Session(recording.device_id, str(recording.user), recording.acc_gyro, tuple(segments))


def read_labels(path: Path) -> dict[str, list[Segment]]:
    """Read ``labels.txt``: which samples of which recording show which activity.

    Returns:
        Segments by the device id of their recording.

    Raises:
        DataError: the file is missing or malformed, or an activity's number has no name; says
            which line.
    """
    names = {number: activity_of_label(name) for number, name in _names(path.parent).items()}
    segments = defaultdict(list)
    rows = _rows(path, _lines(path), int, "experiment user activity start end")
    for line, (experiment, user, number, start, end) in enumerate(rows, 1):
        if number not in names:
            raise DataError(
                f"{path}, line {line}: no name is known for activity {number}; write one a line, "
                f"such as `{number} ROWING`, in {path.with_name('activity_labels.txt')}"
            )
        segment = Segment(names[number], start - 1, end)
        segments[device_id(experiment, user)].append(segment)
    return segments


def _names(raw_dir: Path) -> dict[int, str]:
    """Names of the activities by their number."""
    for folder in (raw_dir, raw_dir.parent):
        path = folder / "activity_labels.txt"
        if path.exists():
            words = [line.split(maxsplit=1) for line in _lines(path) if line.strip()]
            for line, pair in enumerate(words, 1):
                if len(pair) != 2 or not pair[0].isdigit():
                    raise DataError(f"{path}, line {line}: expected a number and a name")
            return PUBLIC_NAMES | {int(number): name for number, name in words}
    return PUBLIC_NAMES


def read_window_list(path: Path) -> list[Window]:
    """Read a table of windows: a CSV file with the columns row,subject,activity,experiment,start0.

    Raises:
        DataError: the file is missing or malformed; says which line.
    """
    header, *lines = _lines(path) or [""]
    columns = " ".join(field.name for field in fields(Window))
    if header.replace(",", " ") != columns:
        raise DataError(
            f"{path}: the first line of a table of windows must be {columns.replace(' ', ',')}"
        )
    rows = _rows(path, lines, int, columns, separator=",", first_line=2)
    return [Window(*row) for row in rows]


def _read_recording(acc_file: Path) -> Recording:
    name = _FILE.match(acc_file.name)
    assert name is not None
    gyro_file = acc_file.with_name(acc_file.name.replace("acc", "gyro", 1))
    acc, gyro = _read_samples(acc_file), _read_samples(gyro_file)
    if len(acc) != len(gyro):
        raise DataError(
            f"{acc_file.name} has {len(acc)} samples, {gyro_file.name} has {len(gyro)}: the two "
            f"files of a recording are equally long; copy both again into {acc_file.parent}"
        )
    return Recording(int(name[1]), int(name[2]), np.concatenate([acc, gyro], axis=1))


def _read_samples(path: Path) -> Floats:
    rows = list(_rows(path, _lines(path), _finite, "x y z", "finite numbers"))
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _rows(
    path: Path,
    lines: Iterable[str],
    parse: Callable[[str], _Number],
    columns: str,
    kind: str = "whole numbers",
    separator: str | None = None,
    first_line: int = 1,
) -> Iterator[list[_Number]]:
    """Parse lines of numbers, one row each; `columns` names what a line must hold."""
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
