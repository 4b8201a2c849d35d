"""Turns the signals of windows into the frame of gravity.

Every window is turned by operations in the same order whatever other windows stand beside it, and
sums along time are taken value by value, in NumPy as in `turning_compiled`, which gives the same
bits. There are no trigonometric functions in it, whose last bits differ between libraries.
"""

from typing import Final

import numpy as np

from streamer.arrays import Floats
from streamer.errors import ShapeError
from streamer.features.coefficients import SIGNALS
from streamer.features.window_shape import WINDOW

LENGTH: Final = WINDOW.length
"""Samples that decide how a window is turned."""


def turn(signals: Floats) -> Floats:
    """Turn windows so that gravity is +x and the principal horizontal body acceleration is y.

    Args:
        signals: (n, 9, 129) float64: body acceleration, gravity and gyroscope, x y z each.

    Returns:
        (n, 9, 129): the same signals about other axes, which are right-handed.

    Raises:
        ShapeError: the array has another shape or type.
    """
    check(signals)
    up_x, up_y, up_z = find_up(signals).T
    # Two directions across, without a singularity: T. Duff et al., "Building an Orthonormal Basis,
    # Revisited", Journal of Computer Graphics Techniques 6 (2017).
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
    """The unit vectors (n, 3) of the windows' mean gravity; +x where there is none."""
    means = np.stack([_total(signals[:, 3 + i, :LENGTH].T) for i in range(3)], axis=1) / LENGTH
    x, y, z = means.T
    size = np.sqrt(x * x + y * y + z * z)
    nothing = size == 0
    units = means / np.where(nothing, 1.0, size)[:, None] + 0.0
    units[nothing] = (1.0, 0.0, 0.0)
    return units


def check(signals: Floats) -> None:
    """See that an array has windows of signals.

    Raises:
        ShapeError: it has another shape or type.
    """
    wanted = (SIGNALS, LENGTH + 1)
    if signals.ndim != 3 or signals.shape[1:] != wanted or signals.dtype != np.float64:
        raise ShapeError(
            f"features need float64 windows of shape (n, {wanted[0]}, {wanted[1]}), "
            f"got {signals.dtype} of shape {signals.shape}"
        )


def _total(columns: Floats) -> Floats:
    """The sums of columns (length, n), added value by value: `sum` adds a single one by halves."""
    total: Floats = np.cumsum(columns, axis=0)[-1] + 0.0
    return total


def _half_angle(along: Floats, across: Floats) -> tuple[Floats, Floats]:
    """Cosine and sine (n,) of half the angle of vectors; of no angle where there is no vector."""
    size = np.sqrt(along * along + across * across)
    nothing = size == 0
    size = np.where(nothing, 1.0, size)
    share = np.where(nothing, 1.0, np.abs(along) / size)
    # The larger of the two from a root, the other one by division: no digits are lost.
    larger = np.sqrt((1 + share) / 2)
    smaller = np.abs(across) / size / (2 * larger)
    ahead = along >= 0
    sign = np.copysign(1.0, across)
    return np.where(ahead, larger, smaller), sign * np.where(ahead, smaller, larger)
