"""Copies of recordings as other phones on other waists might have made them."""

import numpy as np
from scipy.spatial.transform import Rotation

from streamer.model.recordings import Recording

TURN_DEGREES = 12.0
"""Standard deviation of how far a phone is turned from where it was."""
LARGEST_GAIN = 0.08
"""How much more or less the sensors may say; people move as differently too."""
NOISE_G = 0.005
"""Standard deviation of the noise added to acceleration."""


def varied(recording: Recording, rng: np.random.Generator) -> Recording:
    """Turn a recording's phone about a random axis, change its gain and add noise.

    The raw samples are varied, not their features, so that filters and features see what they
    would have seen.
    """
    axis = rng.normal(size=3)
    angle = np.radians(rng.normal(0, TURN_DEGREES))
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle)
    gain = rng.uniform(1 - LARGEST_GAIN, 1 + LARGEST_GAIN)
    acc, gyro = np.split(recording.acc_gyro * gain, 2, axis=1)
    noise = rng.normal(0, NOISE_G, acc.shape)
    samples = np.concatenate([turn.apply(acc) + noise, turn.apply(gyro)], axis=1)
    return Recording(recording.experiment, recording.user, samples)
