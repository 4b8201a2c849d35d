"""Copies of recordings as other phones on other waists might have made them."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from streamer.datasets.public_recordings import Session


@dataclass(frozen=True, slots=True)
class Variation:
    """How far a copy may be from its recording."""

    turn_degrees: float
    """Standard deviation of how far a phone is turned from where it was."""
    gain: float
    """How much more or less the sensors may say; people move as differently too."""
    warp: float
    """How much faster or slower everything may go."""
    noise_g: float = 0.005
    """Standard deviation of the noise added to acceleration."""


COPIES: tuple[Variation, ...] = (Variation(12, 0.08, 0.08),) * 8 + (Variation(18, 0.10, 0.12),) * 4
"""The varied copies of each recording that are learned from, besides itself."""


def vary(session: Session, variation: Variation, rng: np.random.Generator) -> Session:
    """Turn a recording's phone about a random axis, change its gain and speed, and add noise.

    The raw samples are varied, not their features, so that filters and features see what they
    would have seen. The segments move with the samples.
    """
    axis = rng.normal(size=3)
    angle = np.radians(rng.normal(0, variation.turn_degrees))
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle)
    gain = rng.uniform(1 - variation.gain, 1 + variation.gain)
    stretch = rng.uniform(1 - variation.warp, 1 + variation.warp)

    samples = session.acc_gyro
    times = np.arange(int((len(samples) - 1) * stretch) + 1) / stretch
    acc, gyro = np.split(gain * CubicSpline(np.arange(len(samples)), samples)(times), 2, axis=1)
    noise = rng.normal(0, variation.noise_g, acc.shape)
    return replace(
        session,
        acc_gyro=np.concatenate([turn.apply(acc) + noise, turn.apply(gyro)], axis=1),
        segments=tuple(
            replace(s, start0=round(s.start0 * stretch), end0=round(s.end0 * stretch))
            for s in session.segments
        ),
    )
