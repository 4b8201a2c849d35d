"""Synthetic people: the samples of a phone at the waist, and the true activity of its owner.

A person goes from one activity to a possible next one through a movement::

    activity   standing ~~~~ sitting ~~~~~~ laying ~~~~~ sitting ~~~ standing ~ walking
    truth      5        7    4       9      6      10    4       8   5        0 1

During a movement the direction of gravity, sway, tremor and gait change smoothly from the values of
one activity to those of the other. Continuing an activity is a movement from it to itself.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from scipy import signal

from streamer.arrays import Floats, Ints
from streamer.publishing.motions import (
    LEAN_VARIETY,
    LYING_LEAN,
    MOTIONS,
    POSTURE_CHANGES,
    REACHABLE,
    RISING_LEAN,
    STIR,
    TWIST,
    WOBBLE,
    Activity,
    Gait,
)

RATE_HZ: Final = 50

_POSTURE_CHANGE_S: Final = (2.4, 5.0)
_GAIT_CHANGE_S: Final = (0.8, 1.6)

_HARMONICS: Final = np.array([1, 2, 3, 4, 6])
_OF_THE_STEP: Final = [1, 3, 4]
"""Indices of the harmonics that are the same for both feet."""

_RINGS_A_STEP: Final = 5
_RINGING_ENDS: Final = 9.0

_SENSOR_NOISE: Final = np.array([0.003] * 3 + [0.004] * 3)

_DIGITS: Final = 4
"""Decimals of a sample; phones have fewer."""


def _unit_variance(*filters: Floats) -> Floats:
    """Chain filters, (sections, 6), so that they keep a variance of 1 of white noise."""
    sections = np.concatenate(filters)
    response = signal.sosfilt(sections, signal.unit_impulse(200 * RATE_HZ))
    sections[0, :3] /= np.sqrt(np.square(response).sum())
    return sections


# Cadence and strength change over ten seconds.
_MOOD: Final = _unit_variance(signal.butter(1, 0.1, fs=RATE_HZ, output="sos"))
# The body sways over seconds and corrects itself within one.
_SWAY: Final = _unit_variance(
    signal.butter(1, 0.05, fs=RATE_HZ, output="sos"),
    signal.butter(2, 1.2, fs=RATE_HZ, output="sos"),
)
_TREMOR: Final = _unit_variance(signal.butter(1, (0.5, 3.0), "band", fs=RATE_HZ, output="sos"))


class Person:
    """A person with a phone; the same seed gives the same person and the same day."""

    def __init__(self, seed: int | Sequence[int]) -> None:
        self._rng = rng = np.random.default_rng(seed)
        self._mood = _Noise(rng, _MOOD, 2)
        self._sway = _Noise(rng, _SWAY, 3)
        self._tremor = _Noise(rng, _TREMOR, 6)

        # The position of the phone is the same for all upright activities.
        mount = rng.normal(0, (0.03, 0.07, 0.10))
        self._gravity: dict[Activity, Floats] = {}
        for activity, motion in MOTIONS.items():
            offset = mount if activity is not Activity.LAYING else np.zeros(3)
            direction = motion.gravity + offset + rng.normal(0, motion.variety)
            self._gravity[activity] = direction / np.linalg.norm(direction)
        self._scale_error = rng.uniform(1.01, 1.03)

        # A person begins and ends every gait in the cadence of walking.
        tempo, walking = rng.uniform(), MOTIONS[Activity.WALKING].gait
        assert walking is not None
        self._step_hz = {
            activity: np.interp(tempo, (0, 1), (motion.gait or walking).step_hz)
            for activity, motion in MOTIONS.items()
        }
        self._restlessness = rng.lognormal(0, 0.25)
        self._vigour = rng.lognormal(0, 0.1, (6, len(_HARMONICS)))
        self._lag = rng.uniform(0, 2 * np.pi, (6, len(_HARMONICS)))
        self._lag[:3, _OF_THE_STEP] = rng.normal(0, 0.3, (3, len(_OF_THE_STEP)))
        self._ringing = rng.normal(0, 0.7, 6)

        self._activity = list(MOTIONS)[rng.integers(len(MOTIONS))]
        self._direction = self._gravity[self._activity]
        self._strides = 0.0
        self._day = self._live()
        self._samples = np.empty((0, 6))
        self._truth = np.empty(0, np.int64)

    def take(self, n: int) -> tuple[Floats, Ints]:
        """Return the next n samples and their true activities; they do not depend on n.

        Returns:
            (n, 6) acceleration x y z in g and rotation x y z in rad/s, at 50 Hz; and (n,)
            activities as the public data set numbers them: 1 to 6 in the order of `MOTIONS`,
            7 to 12 while changing posture, 0 otherwise.
        """
        while len(self._truth) < n:
            samples, activity = next(self._day)
            self._samples = np.concatenate([self._samples, samples])
            self._truth = np.concatenate([self._truth, np.full(len(samples), activity)])
        taken = self._samples[:n], self._truth[:n]
        self._samples, self._truth = self._samples[n:], self._truth[n:]
        return taken

    def _live(self) -> Iterator[tuple[Floats, int]]:
        numbers = {activity: number for number, activity in enumerate(MOTIONS, 1)}
        while True:
            here = self._activity
            yield self._move(here, MOTIONS[here].seconds), numbers[here]
            options = REACHABLE[here]
            there = options[self._rng.integers(len(options))]
            change = POSTURE_CHANGES.get((here, there), 0)
            yield self._move(there, _POSTURE_CHANGE_S if change else _GAIT_CHANGE_S), change

    def _move(self, there: Activity, seconds: tuple[float, float]) -> Floats:
        """Return the samples (n, 6) of a movement to the next activity, of so many seconds."""
        here, self._activity = self._activity, there
        n = round(self._rng.uniform(*seconds) * RATE_HZ)
        progress = np.arange(1, n + 1)[:, None] / n
        # The path of least jerk: people move like that.
        arrived = progress**3 * (10 - 15 * progress + 6 * progress**2)
        leaving = 1 - arrived

        before, after = MOTIONS[here], MOTIONS[there]
        sway = (leaving * before.sway + arrived * after.sway) * self._sway.take(n)
        unrest = self._tremor.take(n)
        tremor = unrest * (
            leaving * (before.tremor_acc + before.tremor_gyro)
            + arrived * (after.tremor_acc + after.tremor_gyro)
        )
        direction = leaving * self._gravity[here] + arrived * self._gravity[there]
        samples: Floats = self._restlessness * tremor
        if (here, there) in POSTURE_CHANGES:
            # The trunk leans forward or aside, returns and twists; the body is moved and stopped.
            effort = 16 * (progress * (1 - progress)) ** 2
            lean = LYING_LEAN if Activity.LAYING in (here, there) else RISING_LEAN
            direction = direction + effort * self._rng.normal(lean, LEAN_VARIETY)
            direction = direction + effort * WOBBLE * unrest[:, 3:]
            samples[:, :3] += effort * STIR * unrest[:, :3]
            push = self._rng.normal((0.15, 0, 0.1), 0.05)
            samples[:, :3] += effort * np.cos(4 * np.pi * progress) * push
            twist = effort * np.cos(np.pi * progress + self._rng.uniform(0, 1))
            samples[:, 3:] += twist * self._rng.normal(0, TWIST) * direction
        samples += self._turn(direction + self._restlessness * sway)
        shares = {here: leaving}
        shares[there] = shares.get(there, 0) + arrived
        samples += self._walk(shares)
        samples += _SENSOR_NOISE * self._rng.standard_normal((n, 6))
        return samples.round(_DIGITS)

    def _turn(self, upwards: Floats) -> Floats:
        """Return the part of gravity in directions (n, 3), and of turning to them, (n, 6)."""
        direction = upwards / np.linalg.norm(upwards, axis=1, keepdims=True)
        change = np.diff(direction, axis=0, prepend=self._direction[None]) * RATE_HZ
        self._direction = direction[-1]
        return np.concatenate([self._scale_error * direction, np.cross(change, direction)], axis=1)

    def _walk(self, shares: dict[Activity, Floats]) -> Floats:
        """Return what the sensors (n, 6) measure of the gaits of activities with shares (n, 1)."""
        parts = [share * self._step_hz[activity] for activity, share in shares.items()]
        step_hz: Floats = np.sum(parts, axis=0)
        tempo, strength = self._mood.take(len(step_hz)).T[..., None]
        strides = self._strides + np.cumsum(step_hz * (1 + 0.02 * tempo)) / 2 / RATE_HZ
        self._strides = strides[-1] % 1
        samples = np.zeros((len(strides), 6))
        for activity, share in shares.items():
            if gait := MOTIONS[activity].gait:
                samples += share * (1 + 0.08 * strength) * self._gait(gait, strides)
        return samples

    def _gait(self, gait: Gait, strides: Floats) -> Floats:
        """Return what a gait adds to the samples, (n, 6), after so many strides (n,)."""
        lag = self._lag.copy()
        lag[:3, _OF_THE_STEP] += gait.lag
        phase = 2 * np.pi * np.multiply.outer(strides, _HARMONICS)
        swing = self._vigour * (gait.acc + gait.gyro) * np.cos(phase[:, None] + lag)
        since_heel = (2 * strides[:, None] + 0.05) % 1
        ring = np.sin(2 * np.pi * _RINGS_A_STEP * since_heel + self._ringing)
        samples: Floats = swing.sum(axis=2)
        return samples + gait.heel * np.exp(-_RINGING_ENDS * since_heel) * ring


class _Noise:
    """Infinite noise of unit variance; it does not depend on how it is divided."""

    def __init__(self, rng: np.random.Generator, sections: Floats, channels: int) -> None:
        self._rng = rng
        self._sections = sections
        self._state = np.zeros((len(sections), channels, 2))
        self.take(20 * RATE_HZ)

    def take(self, n: int) -> Floats:
        """Return the next n samples, (n, channels)."""
        white = self._rng.standard_normal((self._state.shape[1], n))
        noise, self._state = signal.sosfilt(self._sections, white, zi=self._state)
        taken: Floats = noise.T
        return taken
