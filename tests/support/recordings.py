"""Invented people: still or swinging phones, written in the layout of the public download."""

from functools import partial
from pathlib import Path

import numpy as np

from streamer.datasets.labelled_windows import LabelledWindows, cut_recordings
from streamer.datasets.public_recordings import read_labelled_recordings
from streamer.training.variation import VARIATIONS, make_copies

two_copies = partial(make_copies, variations=VARIATIONS[:2])

GRAVITY = {1: (0.97, -0.2, 0), 2: (0.9, -0.3, 0.1), 3: (0.95, -0.1, -0.1)}
STILL = {4: (0.97, 0.1, 0.1), 5: (0.98, -0.2, 0), 6: (0.1, 0.8, 0.6)}
STEPS_HZ = {1: 1.75, 2: 1.4, 3: 2.1}
SEGMENT = 700


def write_raw_dir(folder: Path, users: int = 3) -> Path:
    """Each user does the six activities one after the other, 14 s each, 2 s between them.

    Those 2 s are labelled between sitting and standing only (number 8), and are a turn in space.
    """
    labels = []
    for user in range(1, users + 1):
        rng = np.random.default_rng(user)
        parts: list[np.ndarray] = []
        for activity in range(1, 7):
            start = sum(map(len, parts)) + 1
            labels.append(f"{user} {user} {activity} {start} {start + SEGMENT - 1}")
            between = _segment(5, rng)[:100]
            if activity == 4:
                labels.append(f"{user} {user} 8 {start + SEGMENT} {start + SEGMENT + 99}")
                between[:, :3] = _turn(np.array(STILL[4]), np.array(STILL[5]))
                between[:, 3:] += 1
            parts += [_segment(activity, rng), between]
        samples = np.concatenate(parts)
        for sensor, columns in (("acc", samples[:, :3]), ("gyro", samples[:, 3:])):
            np.savetxt(folder / f"{sensor}_exp{user:02d}_user{user:02d}.txt", columns, "%.8f")
    (folder / "labels.txt").write_text("\n".join(labels) + "\n")
    return folder


def windows_of(raw_dir: Path, *users: str) -> LabelledWindows:
    """What is learned from some or all of them."""
    return cut_recordings(read_labelled_recordings(raw_dir), users, make_copies=two_copies)


def _segment(activity: int, rng: np.random.Generator) -> np.ndarray:
    samples = rng.normal(0, 0.01, (SEGMENT, 6))
    samples[:, :3] += (GRAVITY | STILL)[activity]
    if activity in STEPS_HZ:
        phase = 2 * np.pi * STEPS_HZ[activity] * np.arange(SEGMENT) / 50
        samples += np.sin(phase)[:, None] * (0.3, 0.2, 0.1, 0.4, 0.4, 0.3)
    return samples


def _turn(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """100 samples of acceleration, from one posture to another and back twice."""
    share = (1 - np.cos(np.linspace(0, 3 * np.pi, 100)))[:, None] / 2
    turned: np.ndarray = before + share * (after - before)
    return turned + 0.5 * np.sin(np.linspace(0, 20, 100))[:, None]
