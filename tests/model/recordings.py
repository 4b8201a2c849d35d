"""Invented people: still or swinging phones, written in the layout of the public download."""

from pathlib import Path

import numpy as np

GRAVITY = {1: (0.97, -0.2, 0), 2: (0.9, -0.3, 0.1), 3: (0.95, -0.1, -0.1)}
STILL = {4: (0.97, 0.1, 0.1), 5: (0.98, -0.2, 0), 6: (0.1, 0.8, 0.6)}
STEPS_HZ = {1: 1.75, 2: 1.4, 3: 2.1}
SEGMENT = 700


def write_raw_dir(folder: Path, users: int = 3) -> Path:
    """Each user does the six activities one after the other, 14 s each, unlabelled 2 s between."""
    labels = []
    for user in range(1, users + 1):
        rng = np.random.default_rng(user)
        parts: list[np.ndarray] = []
        for activity in range(1, 7):
            start = sum(map(len, parts)) + 1
            labels.append(f"{user} {user} {activity} {start} {start + SEGMENT - 1}")
            parts += [_segment(activity, rng), _segment(5, rng)[:100]]
        samples = np.concatenate(parts)
        for sensor, columns in (("acc", samples[:, :3]), ("gyro", samples[:, 3:])):
            np.savetxt(folder / f"{sensor}_exp{user:02d}_user{user:02d}.txt", columns, "%.8f")
    (folder / "labels.txt").write_text("\n".join(labels) + "\n")
    return folder


def _segment(activity: int, rng: np.random.Generator) -> np.ndarray:
    samples = rng.normal(0, 0.01, (SEGMENT, 6))
    samples[:, :3] += (GRAVITY | STILL)[activity]
    if activity in STEPS_HZ:
        phase = 2 * np.pi * STEPS_HZ[activity] * np.arange(SEGMENT) / 50
        samples += np.sin(phase)[:, None] * (0.3, 0.2, 0.1, 0.4, 0.4, 0.3)
    return samples
