"""Varied copies of recordings: the same movements, measured by another phone on another waist."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from streamer.datasets.recording import Recording


@dataclass(frozen=True, slots=True)
class Variation:
    """How much a copy may differ from its recording."""

    turn_degrees: float
    """Standard deviation of the angle by which the phone is turned."""
    gain: float
    """Largest relative change of both sensors' values."""
    warp: float
    """Largest relative change of speed."""
    noise_g: float = 0.005
    """Standard deviation of the noise that is added to the acceleration, in g."""


VARIATIONS: tuple[Variation, ...] = (
    *(Variation(12, 0.08, 0.08),) * 8,
    *(Variation(18, 0.10, 0.12),) * 4,
)
"""Training makes one copy of each recording for each of these."""


def make_copies(
    recording: Recording,
    rng: np.random.Generator,
    variations: Sequence[Variation] = VARIATIONS,
) -> Iterator[Recording]:
    """Yield one copy for each variation. A copy is computed when it is asked for."""
    for variation in variations:
        yield vary(recording, variation, rng)


def vary(recording: Recording, variation: Variation, rng: np.random.Generator) -> Recording:
    """Turn the phone about a random axis, change gain and speed, and add noise.

    The samples are varied rather than their features, so that filters and features see what
    another phone would have measured. The segments move with the samples.
    """
    axis = rng.normal(size=3)
    angle = np.radians(rng.normal(0, variation.turn_degrees))
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle)
    gain = rng.uniform(1 - variation.gain, 1 + variation.gain)
    stretch = rng.uniform(1 - variation.warp, 1 + variation.warp)

    samples = recording.acc_gyro
    times = np.arange(int((len(samples) - 1) * stretch) + 1) / stretch
    acc, gyro = np.split(gain * CubicSpline(np.arange(len(samples)), samples)(times), 2, axis=1)
    noise = rng.normal(0, variation.noise_g, acc.shape)
    return replace(
        recording,
        acc_gyro=np.concatenate([turn.apply(acc) + noise, turn.apply(gyro)], axis=1),
        segments=tuple(
            replace(s, start0=round(s.start0 * stretch), end0=round(s.end0 * stretch))
            for s in recording.segments
        ),
    )
