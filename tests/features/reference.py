"""The 561 features of one window, slowly: plain loops, exact sums, written from their definitions.

Nothing here comes from `streamer.features`. What varies by less than 1e-12 of its size is taken as
constant, as there: that is rounding.
"""

import cmath
import math
from collections.abc import Sequence

Series = Sequence[float]

ROUNDING = 1e-12
LENGTH = 128
TURNS = [cmath.exp(-2j * math.pi * k / LENGTH) for k in range(LENGTH)]


def features(window: Sequence[Series]) -> list[float]:
    """A window of nine signals of 129 samples: body, gravity and gyroscope, x y z each."""
    body, gravity, gyro = (
        [list(signal[:LENGTH]) for signal in window[i : i + 3]] for i in (0, 3, 6)
    )
    body_jerk, gyro_jerk = (
        [[signal[i + 1] - signal[i] for i in range(LENGTH)] for signal in window[j : j + 3]]
        for j in (0, 6)
    )
    row: list[float] = []
    for axes in (body, gravity, body_jerk, gyro, gyro_jerk):
        row += axial_statistics(axes)
        row += [a for axis in axes for a in burg(axis)]
        x, y, z = axes
        row += [correlation(x, y), correlation(x, z), correlation(y, z)]
    for axes in (body, body, body_jerk, gyro, gyro_jerk):  # gravity's is the body's
        norm = magnitude(axes)
        row += magnitude_statistics(norm) + burg(norm)
    for axes in (body, body_jerk, gyro):
        row += axial_spectrum([amplitudes(axis) for axis in axes])
    for axes in (body, body_jerk, gyro, gyro_jerk):
        spectrum = amplitudes(magnitude(axes))
        row += magnitude_statistics(spectrum)
        row += [peak(spectrum), mean_frequency(spectrum), *shape(spectrum)]
    down = [mean(axis) for axis in gravity]
    for axes in (body, body_jerk, gyro, gyro_jerk):
        row.append(angle([mean(axis) for axis in axes], down))
    row += [angle(unit, down) for unit in ([1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0])]
    return row


def axial_statistics(axes: Sequence[Series]) -> list[float]:
    each = [
        [f(axis) for axis in axes] for f in (mean, std, mad, max, min, energy, quartiles, entropy)
    ]
    means, stds, mads, highs, lows, energies, ranges, entropies = each
    sma = math.fsum(mean([abs(v) for v in axis]) for axis in axes)
    return [
        *(*means, *stds, *mads, *highs, *lows),
        *(sma, *energies, *ranges, *entropies),
    ]


def magnitude_statistics(v: Series) -> list[float]:
    # Of a series that is never negative the signal magnitude area is the mean.
    return [
        *(mean(v), std(v), mad(v), max(v), min(v)),
        *(mean(v), energy(v), quartiles(v), entropy(v)),
    ]


def axial_spectrum(spectra: Sequence[Series]) -> list[float]:
    row = axial_statistics(spectra)
    row += [peak(spectrum) for spectrum in spectra]
    row += [mean_frequency(spectrum) for spectrum in spectra]
    row += [moment for spectrum in spectra for moment in shape(spectrum)]
    row += [band for spectrum in spectra for band in bands(spectrum)]
    return row


def mean(v: Series) -> float:
    return math.fsum(v) / len(v)


def std(v: Series) -> float:
    m = mean(v)
    return math.sqrt(math.fsum((x - m) ** 2 for x in v) / (len(v) - 1))


def mad(v: Series) -> float:
    m = mean(v)
    return math.fsum(abs(x - m) for x in v) / len(v)


def energy(v: Series) -> float:
    return math.fsum(x * x for x in v) / len(v)


def quartiles(v: Series) -> float:
    s, quarter = sorted(v), len(v) // 4
    upper = (s[3 * quarter - 1] + s[3 * quarter]) / 2
    lower = (s[quarter - 1] + s[quarter]) / 2
    return upper - lower


def entropy(v: Series) -> float:
    counts: dict[int, int] = {}
    for x in v:
        grey = min(max(math.floor(255 * x + 0.5), 0), 255)
        counts[grey] = counts.get(grey, 0) + 1
    return -math.fsum(n / len(v) * math.log2(n / len(v)) for n in counts.values())


def burg(v: Series) -> list[float]:
    forward, backward = list(v[1:]), list(v[:-1])
    nothing = ROUNDING**2 * math.fsum(x * x for x in v)
    coefficients = [1.0]
    for _ in range(4):
        left = math.fsum(f * f + b * b for f, b in zip(forward, backward, strict=True))
        shared = math.fsum(f * b for f, b in zip(forward, backward, strict=True))
        k = -2 * shared / left if left > nothing else 0.0
        longer = [*coefficients, 0.0]
        coefficients = [a + k * b for a, b in zip(longer, longer[::-1], strict=True)]
        pairs = list(zip(forward, backward, strict=True))
        forward = [f + k * b for f, b in pairs][1:]
        backward = [b + k * f for f, b in pairs][:-1]
    return coefficients[1:]


def standardised(v: Series) -> list[float]:
    m, s = mean(v), std(v)
    if s <= ROUNDING * max(abs(x) for x in v):
        return [0.0] * len(v)
    return [(x - m) / s for x in v]


def correlation(v: Series, w: Series) -> float:
    pairs = zip(standardised(v), standardised(w), strict=True)
    return math.fsum(x * y for x, y in pairs) / (len(v) - 1)


def magnitude(axes: Sequence[Series]) -> list[float]:
    return [math.sqrt(x * x + y * y + z * z) for x, y, z in zip(*axes, strict=True)]


def amplitudes(v: Series) -> list[float]:
    """Bins k = 1 .. 64 of the discrete Fourier transform."""
    spectrum, nothing = [], ROUNDING * max(abs(x) for x in v)
    for k in range(1, LENGTH // 2 + 1):
        terms = [x * TURNS[k * n % LENGTH] for n, x in enumerate(v)]
        bin_k = complex(math.fsum(t.real for t in terms), math.fsum(t.imag for t in terms))
        a = abs(bin_k) * 2 / LENGTH
        spectrum.append(a if a > nothing else 0.0)
    return spectrum


def peak(spectrum: Series) -> float:
    return spectrum.index(max(spectrum)) + 1.0


def mean_frequency(spectrum: Series) -> float:
    total = math.fsum(spectrum)
    return math.fsum(k * a for k, a in enumerate(spectrum, 1)) / total if total > 0 else 0.0


def shape(spectrum: Series) -> list[float]:
    """Skewness and kurtosis, both biased, kurtosis not in excess of 3."""
    n, z = len(spectrum), standardised(spectrum)
    m2, m3, m4 = (math.fsum(x**p for x in z) / n for p in (2, 3, 4))
    return [m3 / m2**1.5, m4 / m2**2] if m2 else [0.0, 0.0]


def bands(spectrum: Series) -> list[float]:
    limits = [(k, k + 7) for k in range(1, 65, 8)]
    limits += [(k, k + 15) for k in range(1, 65, 16)]
    limits += [(1, 24), (25, 48)]
    return [math.fsum(a * a for a in spectrum[k - 1 : last]) for k, last in limits]


def angle(u: Series, v: Series) -> float:
    across = [u[i - 2] * v[i - 1] - u[i - 1] * v[i - 2] for i in range(3)]
    along = math.fsum(a * b for a, b in zip(u, v, strict=True))
    return math.atan2(math.sqrt(math.fsum(c * c for c in across)), along)
