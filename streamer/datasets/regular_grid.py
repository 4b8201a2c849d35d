"""Puts recordings of any rate on the regular grid of 50 Hz that features are computed on.

Where both sensors were measured together, regularly and within 5% of 50 Hz, samples are taken as
they are. Otherwise each sensor is resampled by itself: a point of the grid between two measurements
less than 15 ms apart is the mean of the measurements around it, weighted by the cubic convolution
kernel (R. Keys, 1981, a = -1/2), a low-pass at some 25 Hz; any other point is on the line between
its neighbours. This is what the worker does with a device of another rate (`stream/resampling.py`,
sample by sample); here it is done for all points at once, and a test holds that both agree.
"""

from collections.abc import Iterator

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.datasets.raw_recording import RawRecording, SensorSeries, TimedLabel
from streamer.datasets.recording import Recording, Segment
from streamer.features.window_shape import WINDOW
from streamer.stream.resampling import DENSE_US, LEAST_WEIGHT
from streamer.stream.rules import Rules

STEP_US = 20_000
LONGEST_GAP_US = Rules().max_gap_us
"""A longer hole ends a part of a recording, as the default of `max_gap_ms` in the worker does."""
SAME_RATE = 0.05
"""Relative difference up to which a rate counts as 50 Hz, as in the worker."""


def split_and_regularize(raw: RawRecording) -> Iterator[Recording]:
    """Yield the parts of a recording between gaps, each on the grid of 50 Hz.

    A part is at least as long as one window. A device without a gyroscope has zeros for rotation.
    """
    spans = list(find_spans(raw))
    for part, (start_us, end_us) in enumerate(spans, 1):
        times_us, samples = _regularize(raw, start_us, end_us)
        if len(times_us) > WINDOW.length:
            yield Recording(
                raw.name if len(spans) == 1 else f"{raw.name}_part{part}",
                raw.subject,
                samples,
                tuple(place_labels(raw.labels, times_us)),
            )


def find_spans(raw: RawRecording) -> Iterator[tuple[int, int]]:
    """Yield the times (first, last) between gaps, during which all sensors measured."""
    spans = [(raw.acc.times_us[0], raw.acc.times_us[-1])]
    for sensor in raw.sensors:
        spans = list(_intersect(spans, _span_sensor(sensor.times_us)))
    return ((int(start), int(end)) for start, end in spans)


def resample(series: SensorSeries, points_us: Ints) -> Floats:
    """Return the values (m, 3) at points of a grid (m,) that lies within the series."""
    times = series.times_us
    after = np.clip(np.searchsorted(times, points_us), 1, len(times) - 1)
    lines = np.stack([np.interp(points_us, times, axis) for axis in series.values.T], axis=1)
    dense = times[after] - times[after - 1] < DENSE_US
    if not dense.any():
        return lines
    weights = np.zeros(len(points_us))
    sums = np.zeros((len(points_us), 3))
    nearest = (times - points_us[0]) // STEP_US
    for neighbour in (-1, 0, 1, 2):  # a measurement has a part in four points
        point = nearest + neighbour
        inside = (point >= 0) & (point < len(points_us))
        point = point[inside]
        weight = _weigh(np.abs(times[inside] - points_us[point]) / STEP_US)
        weights += np.bincount(point, weight, len(points_us))
        for axis in range(3):
            sums[:, axis] += np.bincount(
                point, weight * series.values[inside, axis], len(points_us)
            )
    dense &= weights >= LEAST_WEIGHT
    means = sums / np.where(dense, weights, 1)[:, None]
    return np.where(dense[:, None], means, lines)


def _weigh(steps: Floats) -> Floats:
    """Return the weights of measurements this many steps of the grid away."""
    near = (1.5 * steps - 2.5) * steps * steps + 1
    far = ((-0.5 * steps + 2.5) * steps - 4) * steps + 2
    return np.where(steps < 1, near, np.where(steps < 2, far, 0.0))


def _regularize(raw: RawRecording, start_us: int, end_us: int) -> tuple[Ints, Floats]:
    """Return the times (n,) and samples (n, 6) of a part without gaps."""
    acc = raw.acc.between(start_us, end_us)
    gyro = None if raw.gyro is None else raw.gyro.between(start_us, end_us)
    together = gyro is None or np.array_equal(acc.times_us, gyro.times_us)
    if together and _is_regular(acc.times_us):
        rotation = np.zeros_like(acc.values) if gyro is None else gyro.values
        return acc.times_us, np.concatenate([acc.values, rotation], axis=1)
    points_us = np.arange(start_us, end_us + 1, STEP_US)
    values = [resample(sensor, points_us) for sensor in raw.sensors]
    if gyro is None:
        values.append(np.zeros_like(values[0]))
    return points_us, np.concatenate(values, axis=1)


def _is_regular(times_us: Ints) -> bool:
    """Whether samples follow one another at 50 Hz, none missing."""
    if len(times_us) < 2:
        return False
    steps = np.diff(times_us)
    rate = len(steps) * STEP_US / (times_us[-1] - times_us[0])
    return abs(rate - 1) <= SAME_RATE and bool(
        (steps > STEP_US / 2).all() and (steps < STEP_US * 1.5).all()
    )


def _span_sensor(times_us: Ints) -> list[tuple[int, int]]:
    breaks = np.flatnonzero(np.diff(times_us) > LONGEST_GAP_US)
    firsts = np.append(0, breaks + 1)
    lasts = np.append(breaks, len(times_us) - 1)
    return list(zip(times_us[firsts].tolist(), times_us[lasts].tolist(), strict=True))


def _intersect(
    spans: list[tuple[int, int]], others: list[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    for start, end in spans:
        for other_start, other_end in others:
            if max(start, other_start) < min(end, other_end):
                yield max(start, other_start), min(end, other_end)


def place_labels(labels: tuple[TimedLabel, ...], times_us: Ints) -> Iterator[Segment]:
    """Yield the labels as segments of samples at times (n,)."""
    for label in labels:
        first, last = np.searchsorted(times_us, [label.start_us, label.end_us]).tolist()
        if last > first:
            yield Segment(label.activity, first, last)
