"""Compiled version of `turning`. It returns the same bits."""

import math

import numpy as np

from streamer.arrays import Floats
from streamer.compiled import compiled
from streamer.features.series import check_signals


def turn(signals: Floats) -> Floats:
    """Return what `turning.turn` returns, to the bit."""
    check_signals(signals)
    result = np.empty(signals.shape)
    _turn_each(np.ascontiguousarray(signals), find_up(signals), result)
    return result


def find_up(signals: Floats) -> Floats:
    """Return what `turning.find_up` returns, to the bit."""
    units = np.empty((len(signals), 3))
    _find_up(np.ascontiguousarray(signals), units)
    return units


@compiled
def _find_up(signals: Floats, units: Floats) -> None:
    length = signals.shape[2] - 1
    for window in range(len(signals)):
        x, y, z = 0.0, 0.0, 0.0
        for t in range(length):
            x += signals[window, 3, t]
            y += signals[window, 4, t]
            z += signals[window, 5, t]
        x, y, z = x / length, y / length, z / length
        size = math.sqrt(x * x + y * y + z * z)
        if size == 0:
            x, size = 1.0, 1.0
        units[window, 0], units[window, 1], units[window, 2] = x / size, y / size, z / size


@compiled
def _turn_each(signals: Floats, up: Floats, result: Floats) -> None:
    length = signals.shape[2] - 1
    a, b = np.empty(length), np.empty(length)
    axes = np.empty((3, 3))
    for window in range(len(signals)):
        body = signals[window, :3, :length]
        _find_across(up[window], axes)
        _project(body, axes[1], a)
        _project(body, axes[2], b)
        _turn_about_gravity(a, b, axes)
        for signal in range(0, signals.shape[1], 3):
            for i in range(3):
                _project(signals[window, signal : signal + 3], axes[i], result[window, signal + i])


@compiled
def _find_across(up: Floats, axes: Floats) -> None:
    """Compute three axes: the direction of gravity, and two that are perpendicular to it."""
    x, y, z = up[0], up[1], up[2]
    side = math.copysign(1.0, x)
    k = -1 / (side + x)
    m = y * z * k
    axes[0, 0], axes[0, 1], axes[0, 2] = x, y, z
    axes[1, 0], axes[1, 1], axes[1, 2] = -side * y, 1 + side * y * y * k, side * m
    axes[2, 0], axes[2, 1], axes[2, 2] = -z, m, side + z * z * k


@compiled
def _project(signal: Floats, axis: Floats, result: Floats) -> None:
    """Compute the component of a signal (3, length) along an axis."""
    p, q, r = axis[0], axis[1], axis[2]
    for t in range(len(result)):
        result[t] = p * signal[0, t] + q * signal[1, t] + r * signal[2, t]


@compiled
def _turn_about_gravity(a: Floats, b: Floats, axes: Floats) -> None:
    """Turn the horizontal axes so that the second axis is the principal direction of motion."""
    length = len(a)
    sum_a, sum_b = 0.0, 0.0
    for t in range(length):
        sum_a += a[t]
        sum_b += b[t]
    mean_a, mean_b = sum_a / length, sum_b / length
    aa, bb, ab = 0.0, 0.0, 0.0
    for t in range(length):
        a[t] -= mean_a
        b[t] -= mean_b
        aa += a[t] * a[t]
        bb += b[t] * b[t]
        ab += a[t] * b[t]
    cosine, sine = _half_angle(aa - bb, 2 * ab)
    skew = 0.0
    for t in range(length):
        along = cosine * a[t] + sine * b[t]
        skew += along * along * along
    if skew < 0:
        cosine, sine = -cosine, -sine
    for i in range(3):
        p, q = axes[1, i], axes[2, i]
        axes[1, i], axes[2, i] = cosine * p + sine * q, cosine * q - sine * p


@compiled
def _half_angle(along: float, across: float) -> tuple[float, float]:
    size = math.sqrt(along * along + across * across)
    share = abs(along) / size if size > 0 else 1.0
    larger = math.sqrt((1 + share) / 2)
    smaller = abs(across) / size / (2 * larger) if size > 0 else 0.0
    sign = math.copysign(1.0, across)
    return (larger, sign * smaller) if along >= 0 else (smaller, sign * larger)
