"""Reads recordings in the layout of the public UCI HAR / HAPT download.

``RawData/`` holds, for every experiment, ``acc_exp01_user01.txt`` and ``gyro_exp01_user01.txt``
(one sample a line, ``x y z``; g and rad/s, at 50 Hz) and one ``labels.txt`` (``experiment user
activity start end``, samples counted from 1, the end included). The names of the activities'
numbers are in ``activity_labels.txt``, in the folder or beside it: ``4 SITTING``,
``7 STAND_TO_SIT``.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from streamer.arrays import Floats
from streamer.datasets.class_names import PUBLIC_NAMES, activity_of_label
from streamer.datasets.recording import Recording, Segment
from streamer.datasets.text_rows import parse_rows, read_lines
from streamer.errors import DataError

_FILE = re.compile(r"acc_exp(\d+)_user(\d+)\.txt")


def name_device(experiment: int, user: int) -> str:
    """Return the name under which a recording is replayed: ``exp01_user01``."""
    return f"exp{experiment:02d}_user{user:02d}"


def read_recordings(raw_dir: Path, only: str = "*") -> Iterator[Recording]:
    """Read the recordings of a folder without labels, in the order of their file names.

    Args:
        raw_dir: the folder.
        only: glob pattern of the device ids to read; the other files are not opened.

    Raises:
        DataError: there is no recording, or one is malformed; says which file and line.
    """
    files = {
        name_device(int(name[1]), int(name[2])): path
        for path in sorted(raw_dir.glob("acc_exp*_user*.txt"))
        if (name := _FILE.match(path.name))
    }
    if not files:
        raise DataError(
            f"no recordings in {raw_dir}: expected files such as acc_exp01_user01.txt and "
            "gyro_exp01_user01.txt, as in the folder RawData of the public data set"
        )
    selected = [path for device, path in files.items() if fnmatchcase(device, only)]
    if not selected:
        known = list(files)
        raise DataError(f"no device id matches {only!r}: {raw_dir} has {known[0]} to {known[-1]}")
    return map(_read_recording, selected)


def read_labelled_recordings(raw_dir: Path) -> Iterator[Recording]:
    """Read the recordings of a folder with their labels, one at a time.

    Raises:
        DataError: as `read_recordings` and `read_labels`.
    """
    labels = read_labels(raw_dir / "labels.txt")
    for recording in read_recordings(raw_dir):
        segments = sorted(labels.get(recording.device_id, []), key=lambda s: s.start0)
        yield replace(recording, segments=tuple(segments))


def read_labels(path: Path) -> dict[str, list[Segment]]:
    """Read ``labels.txt``: the activities of each recording.

    Returns:
        Segments by the device id of their recording.

    Raises:
        DataError: the file is missing or malformed, or an activity's number has no name; says
            which line.
    """
    names = {number: activity_of_label(name) for number, name in _read_names(path.parent).items()}
    segments = defaultdict(list)
    rows = parse_rows(path, read_lines(path), int, "experiment user activity start end")
    for line, (experiment, user, number, start, end) in enumerate(rows, 1):
        if number not in names:
            raise DataError(
                f"{path}, line {line}: activity {number} has no name; add a line such as "
                f"`{number} ROWING` to {path.with_name('activity_labels.txt')}"
            )
        if not 1 <= start <= end:
            raise DataError(
                f"{path}, line {line}: a label from sample {start} to {end} has no sample; samples "
                "are counted from 1"
            )
        segment = Segment(names[number], start - 1, end)
        segments[name_device(experiment, user)].append(segment)
    return segments


def _read_names(raw_dir: Path) -> dict[int, str]:
    """Return the activities' names by their number."""
    for folder in (raw_dir, raw_dir.parent):
        path = folder / "activity_labels.txt"
        if path.exists():
            words = [line.split(maxsplit=1) for line in read_lines(path) if line.strip()]
            for line, pair in enumerate(words, 1):
                if len(pair) != 2 or not pair[0].isdigit():
                    raise DataError(f"{path}, line {line}: expected a number and a name")
            return PUBLIC_NAMES | {int(number): name for number, name in words}
    return PUBLIC_NAMES


def _read_recording(acc_file: Path) -> Recording:
    name = _FILE.match(acc_file.name)
    assert name is not None
    experiment, user = int(name[1]), int(name[2])
    gyro_file = acc_file.with_name(acc_file.name.replace("acc", "gyro", 1))
    acc, gyro = _read_samples(acc_file), _read_samples(gyro_file)
    if len(acc) != len(gyro):
        raise DataError(
            f"{acc_file.name} has {len(acc)} samples, {gyro_file.name} has {len(gyro)}: the two "
            f"files of a recording are equally long; copy both again into {acc_file.parent}"
        )
    samples = np.concatenate([acc, gyro], axis=1)
    return Recording(name_device(experiment, user), str(user), samples)


def _read_samples(path: Path) -> Floats:
    rows = list(parse_rows(path, read_lines(path), _finite, "x y z", "finite numbers"))
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value
