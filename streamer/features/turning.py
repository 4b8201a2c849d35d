"""Turns the signals of windows into the frame of gravity, stated with NumPy.

A turned window has the same bits in any batch. Sums along time add
value by value, as in `turning_compiled`. There are no trigonometric functions, because their last
bits differ between libraries.
"""

from typing import Final

import numpy as np

from streamer.arrays import Floats
from streamer.features.coefficients import SIGNALS
from streamer.features.series import check_signals
from streamer.features.window_shape import WINDOW

LENGTH: Final = WINDOW.length
"""Samples that decide how a window is turned."""


def turn(signals: Floats) -> Floats:
    """Turn windows so that gravity is +x and the principal horizontal body acceleration is y.

    Args:
        signals: (n, 9, 129) float64: body acceleration, gravity and gyroscope, x y z each.

    Returns:
        (n, 9, 129): the same signals in the turned axes, which are right-handed.

    Raises:
        ShapeError: the array has another shape or type.
    """
    check_signals(signals)
    up_x, up_y, up_z = find_up(signals).T
    # Two horizontal directions, without a singularity: T. Duff et al., "Building an Orthonormal
    # Basis, Revisited", Journal of Computer Graphics Techniques 6 (2017).
    side = np.copysign(1.0, up_x)
    k = -1 / (side + up_x)
    m = up_y * up_z * k
    first = (-side * up_y, 1 + side * up_y * up_y * k, side * m)
    second = (-up_z, m, side + up_z * up_z * k)

    x, y, z = (signals[:, i, :LENGTH].T for i in range(3))
    a = first[0] * x + first[1] * y + first[2] * z
    b = second[0] * x + second[1] * y + second[2] * z
    a = a - _total(a) / LENGTH
    b = b - _total(b) / LENGTH
    cosine, sine = _half_angle(_total(a * a) - _total(b * b), 2 * _total(a * b))
    along = cosine * a + sine * b
    backwards = _total(along * along * along) < 0
    cosine, sine = np.where(backwards, -cosine, cosine), np.where(backwards, -sine, sine)

    result = np.empty(signals.shape)
    axes = (
        (up_x, up_y, up_z),
        tuple(cosine * p + sine * q for p, q in zip(first, second, strict=True)),
        tuple(cosine * q - sine * p for p, q in zip(first, second, strict=True)),
    )
    for signal in range(0, SIGNALS, 3):
        x, y, z = (signals[:, signal + i] for i in range(3))
        for i, (p, q, r) in enumerate(axes):
            result[:, signal + i] = p[:, None] * x + q[:, None] * y + r[:, None] * z
    return result


def find_up(signals: Floats) -> Floats:
    """Return unit vectors (n, 3) along the mean gravity of windows; +x for a mean of zero."""
    means = np.stack([_total(signals[:, 3 + i, :LENGTH].T) for i in range(3)], axis=1) / LENGTH
    x, y, z = means.T
    size = np.sqrt(x * x + y * y + z * z)
    nothing = size == 0
    units = means / np.where(nothing, 1.0, size)[:, None] + 0.0
    units[nothing] = (1.0, 0.0, 0.0)
    return units


def _total(columns: Floats) -> Floats:
    """Return the sums of columns (length, n), added value by value.

    `numpy.sum` would add the values of a single column in pairs.
    """
    total: Floats = np.cumsum(columns, axis=0)[-1] + 0.0
    return total


def _half_angle(along: Floats, across: Floats) -> tuple[Floats, Floats]:
    """Return cosine and sine (n,) of half the angle of vectors; the angle of a zero vector is 0."""
    size = np.sqrt(along * along + across * across)
    nothing = size == 0
    size = np.where(nothing, 1.0, size)
    share = np.where(nothing, 1.0, np.abs(along) / size)
    # The larger one comes from a root and the smaller one from a division, so no digits are lost.
    larger = np.sqrt((1 + share) / 2)
    smaller = np.abs(across) / size / (2 * larger)
    ahead = along >= 0
    sign = np.copysign(1.0, across)
    return np.where(ahead, larger, smaller), sign * np.where(ahead, smaller, larger)
