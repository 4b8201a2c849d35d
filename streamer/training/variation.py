"""Varied copies of recordings: the same movements as another phone would measure them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from streamer.arrays import Bools, Floats
from streamer.datasets.recording import Recording

ANY: Final = math.inf


@dataclass(frozen=True, slots=True)
class Variation:
    """How much a copy may differ from its recording."""

    turn_degrees: float
    """Standard deviation of the angle by which the phone is turned; `ANY` for any orientation."""
    gain: float
    """Largest relative change of both sensors' values."""
    warp: float
    """Largest relative change of speed."""
    noise_g: float = 0.005
    """Standard deviation of the noise that is added to the acceleration, in g."""
    bias_g: float = 0.0
    """Standard deviation of the constant error of the acceleration, in g, in a random direction."""
    missing: float = 0.0
    """Share of samples that are missing, and were filled between their neighbours."""


VARIATIONS: tuple[Variation, ...] = (
    *(Variation(12, 0.08, 0.08),) * 8,
    *(Variation(18, 0.10, 0.12),) * 4,
)
"""Training in the published frame makes one copy of each recording for each of these."""

IN_ANY_ORIENTATION: tuple[Variation, ...] = (
    *(Variation(12, 0.08, 0.10, bias_g=0.02),) * 2,
    *(Variation(ANY, 0.08, 0.10, bias_g=0.02, missing=0.05),) * 4,
)
"""The same in the frame of gravity, where a phone may lie in any way."""


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
    turn = _draw_turn(variation.turn_degrees, rng)
    gain = rng.uniform(1 - variation.gain, 1 + variation.gain)
    stretch = rng.uniform(1 - variation.warp, 1 + variation.warp)

    samples = recording.acc_gyro
    times = np.arange(int((len(samples) - 1) * stretch) + 1) / stretch
    acc, gyro = np.split(gain * CubicSpline(np.arange(len(samples)), samples)(times), 2, axis=1)
    acc = turn.apply(acc) + rng.normal(0, variation.noise_g, acc.shape)
    if variation.bias_g:
        acc += _draw_direction(rng) * rng.normal(0, variation.bias_g)
    varied = np.concatenate([acc, turn.apply(gyro)], axis=1)
    if variation.missing:
        varied = _fill_holes(varied, rng.random(len(varied)) < variation.missing)
    return replace(
        recording,
        acc_gyro=varied,
        segments=tuple(
            replace(s, start0=round(s.start0 * stretch), end0=round(s.end0 * stretch))
            for s in recording.segments
        ),
    )


def _draw_direction(rng: np.random.Generator) -> Floats:
    direction = rng.normal(size=3)
    unit: Floats = direction / np.linalg.norm(direction)
    return unit


def _draw_turn(degrees: float, rng: np.random.Generator) -> Rotation:
    if degrees == ANY:
        return Rotation.random(random_state=rng)
    direction = _draw_direction(rng)
    return Rotation.from_rotvec(direction * np.radians(rng.normal(0, degrees)))


def _fill_holes(samples: Floats, missing: Bools) -> Floats:
    """Replace missing samples by straight lines between their neighbours, as the worker does."""
    there = np.flatnonzero(~missing)
    times = np.arange(len(samples))
    return np.stack([np.interp(times, there, samples[there, i]) for i in range(6)], axis=1)
