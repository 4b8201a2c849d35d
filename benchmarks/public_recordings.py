"""Reads the public recordings that benchmarks judge models by: waist, trouser pocket, and a board.

STREAMER_HAR_DIR has the folder RawData of the public download. STREAMER_DEVICES_DIR has the files
motionsense.npz and sisfall.npz, see CONTRIBUTING.md.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from streamer.arrays import Floats
from streamer.datasets.public_recordings import read_labelled_recordings
from streamer.datasets.raw_recording import RawRecording, SensorSeries, TimedLabel
from streamer.datasets.recording import Recording, Segment
from streamer.datasets.regular_grid import split_and_regularize

ACTIVITIES = {
    "dws": "walking_downstairs",
    "ups": "walking_upstairs",
    "wlk": "walking",
    "jog": "jogging",
    "sit": "sitting",
    "std": "standing",
}
"""Activities of MotionSense."""
BOARD_ACTIVITIES = {
    "D01": "walking slowly",
    "D02": "walking quickly",
    "D03": "jogging slowly",
    "D04": "jogging quickly",
    "D05": "stairs slowly",
    "D06": "stairs quickly",
}
"""Activities of SisFall. On stairs people go up and down, and rest between."""
BOARD_STEP_US = 5_000
BOARD_G = 32 / 2**13
BOARD_DEGREES = 4000 / 2**16


def read_waist() -> Iterator[Recording]:
    """Read the public data set."""
    for each in read_labelled_recordings(Path(os.environ["STREAMER_HAR_DIR"], "RawData")):
        yield replace(
            each,
            device_id=f"hapt/{each.device_id}",
            subject=f"hapt/{each.subject}",
            place="waist",
        )


def read_pocket() -> Iterator[Recording]:
    """Read MotionSense."""
    arrays = np.load(Path(os.environ["STREAMER_DEVICES_DIR"], "motionsense.npz"))
    for name in arrays.files:
        label, _trial, subject = name.split("_")
        values = arrays[name].astype(np.float64)
        # CoreMotion's acceleration has the opposite sign of what an accelerometer measures.
        samples = np.concatenate([-(values[:, :3] + values[:, 6:9]), values[:, 3:6]], axis=1)
        segments = (Segment(ACTIVITIES[label], 0, len(samples)),)
        person = f"motionsense/{int(subject.removeprefix('sub'))}"
        yield Recording(f"motionsense/{name}", person, samples, segments, "pocket")


def read_board() -> Iterator[Recording]:
    """Read SisFall, a board at the waist, resampled from 200 to 50 Hz as the worker does it."""
    arrays = np.load(Path(os.environ["STREAMER_DEVICES_DIR"], "sisfall.npz"))
    for name in arrays.files:
        code, person, _trial = name.split("_")
        counts = arrays[name].astype(np.float64)
        times_us = BOARD_STEP_US * np.arange(len(counts))
        raw = RawRecording(
            f"sisfall/{name}",
            f"sisfall/{person}",
            SensorSeries(times_us, BOARD_G * _to_our_axes(counts[:, :3])),
            SensorSeries(times_us, np.radians(BOARD_DEGREES * _to_our_axes(counts[:, 3:6]))),
            (TimedLabel(BOARD_ACTIVITIES[code], 0, int(times_us[-1]) + 1),),
        )
        yield from (replace(each, place="waist") for each in split_and_regularize(raw))


def _to_our_axes(values: Floats) -> Floats:
    x, y, z = values.T
    return np.stack([-y, x, z], axis=1)
