"""Samples of any rate become slots on a device's own grid of 20 ms. Compiled.

Each sensor by itself. A point of the grid between two samples less than 15 ms apart is the mean of
all samples less than two steps away, weighted by the cubic convolution kernel (R. Keys, 1981, with
a = -1/2), a low-pass at some 25 Hz; every other point lies on the line between its neighbours::

    samples   :::::::::::::::::          .     .     .     .
    points    |   |   |   |   |   |   |   |   |   |   |   |
              weighted        line

A weighted point is ready once a sample two steps later is there. A slot is complete when each
sensor that takes part in the run has its point.
"""

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.compiled import compiled_inline, compiled_together
from streamer.stream.closing import OPENED
from streamer.stream.device_columns import (
    DONE,
    GRID,
    KNOWN,
    NEWEST,
    PRESENT,
    REACH,
    SUMMED,
    TIME_US,
    WEIGHT,
)
from streamer.stream.samples import NEVER
from streamer.stream.slots import land_slot
from streamer.stream.state import State

DENSE_US = 15_000
"""Samples that are closer than this are weighted."""

NEAR_US = 100_000
"""A slot is covered by samples that are no further apart."""

LEAST_WEIGHT = 0.5
"""Points with less weight are on the line after all: where samples are very uneven."""

_AXES = 3


@compiled_together
def begin_tracks(device: int, at_us: int, state: State) -> None:
    """The next slot is the first point of the grid at or after a time."""
    points, step_us = state.sampling.points, state.limits.step_us
    point = -(-(at_us - state.columns.phase_us[device]) // step_us)
    state.sampling.run[device, GRID] = point
    for sensor in range(2):
        points[device, sensor, TIME_US] = NEVER
        points[device, sensor, DONE] = point
        points[device, sensor, KNOWN] = point
        points[device, sensor, SUMMED] = point


@compiled_together
def go_on_from_last_slot(device: int, state: State) -> None:
    """The last slot is a sample; the next one is the first point of the grid after it."""
    columns, sampling = state.columns, state.sampling
    last = (columns.slots[device] - 1) & state.places.mask[device]
    cell = state.places.at[device] + last
    at_us = state.rings.time_us[cell]
    begin_tracks(device, at_us + 1, state)
    for sensor in range(2):
        if sampling.run[device, PRESENT + sensor]:
            for axis in range(sensor * _AXES, (sensor + 1) * _AXES):
                state.held.values[0, axis] = state.rings.values[cell, axis]
            _remember(device, sensor, at_us, state.held.values, 0, state)
    has_acc, has_gyro = sampling.run[device, PRESENT] > 0, sampling.run[device, PRESENT + 1] > 0
    _weigh(device, has_acc, has_gyro, at_us, state.held.values, 0, state)


@compiled_together
def take_in(device: int, at_us: int, values: Floats, i: int, state: State) -> None:
    """Take in sample i of ``values``, which is NaN where it is not of a sensor.

    Then `next_slot` lands the slots that it completes.
    """
    for sensor in range(2):
        if _is_of(values, i, sensor):
            while _finish_stored(device, sensor, at_us, state):
                pass
    _weigh(device, _is_of(values, i, 0), _is_of(values, i, 1), at_us, values, i, state)


@compiled_together
def next_slot(device: int, at_us: int, values: Floats, i: int, state: State, counts: Ints) -> bool:
    """Land the next slot that a sample completes; ``counts`` are those of a `WindowBuffer`.

    Returns false if there is no such slot: the sample is done with.
    """
    going = True
    while going:
        if _is_slot_complete(device, state):
            counts[OPENED] += _land_point(device, state)
            return True
        going = False
        for sensor in range(2):
            if _is_of(values, i, sensor):
                going |= _advance(device, sensor, at_us, values, i, state)
    for sensor in range(2):
        if _is_of(values, i, sensor):
            _remember(device, sensor, at_us, values, i, state)
    return False


@compiled_inline
def _remember(device: int, sensor: int, at_us: int, values: Floats, i: int, state: State) -> None:
    """Remember a sensor's last sample."""
    state.sampling.points[device, sensor, TIME_US] = at_us
    for axis in range(sensor * _AXES, (sensor + 1) * _AXES):
        state.sampling.sums[device, NEWEST, axis] = values[i, axis]


@compiled_inline
def _is_of(values: Floats, i: int, sensor: int) -> bool:
    """Return whether a sample is of a sensor."""
    return not np.isnan(values[i, sensor * _AXES])


@compiled_inline
def _is_slot_complete(device: int, state: State) -> bool:
    """Return whether every sensor that takes part has finished the next slot's point."""
    run, points = state.sampling.run, state.sampling.points
    complete = True
    for sensor in range(2):
        if run[device, PRESENT + sensor]:
            complete &= points[device, sensor, DONE] > run[device, GRID]
    return complete


@compiled_inline
def _land_point(device: int, state: State) -> bool:
    """Land the next slot, with zeros for a sensor that takes no part."""
    columns, run = state.columns, state.sampling.run
    here = state.places.at[device] + (columns.slots[device] & state.places.mask[device])
    for sensor in range(2):
        if not run[device, PRESENT + sensor]:
            for axis in range(sensor * _AXES, (sensor + 1) * _AXES):
                state.rings.values[here, axis] = 0.0
    slot_us = columns.phase_us[device] + run[device, GRID] * state.limits.step_us
    run[device, GRID] += 1
    return land_slot(device, slot_us, state)


@compiled_inline
def _weigh(
    device: int, acc: bool, gyro: bool, at_us: int, values: Floats, i: int, state: State
) -> None:
    """Add a sample of some sensors to the sums of the points near it."""
    step_us = state.limits.step_us
    into_us = at_us - state.columns.phase_us[device]
    # Less than two steps away are the point at or before the sample, the one before, two after,
    # and one less where the sample is on a point.
    before = into_us // step_us
    end = before + (3 if before * step_us < into_us else 2)
    for point in range(before - 1, end):
        distance = abs(into_us - point * step_us) / step_us
        if distance < 1:
            weight = (1.5 * distance - 2.5) * distance * distance + 1
        else:
            weight = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
        if acc:
            _add_weighted(device, 0, point, weight, values, i, state)
        if gyro:
            _add_weighted(device, 1, point, weight, values, i, state)


@compiled_inline
def _add_weighted(
    device: int, sensor: int, point: int, weight: float, values: Floats, i: int, state: State
) -> None:
    """Add a sample of a sensor to the sums of a point, if this is not done yet."""
    points, sums = state.sampling.points, state.sampling.sums
    if point < points[device, sensor, DONE]:
        return
    position = point & (REACH - 1)
    if point >= points[device, sensor, SUMMED]:
        sums[device, position, WEIGHT + sensor] = 0.0
        for axis in range(sensor * _AXES, (sensor + 1) * _AXES):
            sums[device, position, axis] = 0.0
        points[device, sensor, SUMMED] = point + 1
    sums[device, position, WEIGHT + sensor] += weight
    for axis in range(sensor * _AXES, (sensor + 1) * _AXES):
        sums[device, position, axis] += weight * values[i, axis]


@compiled_inline
def _finish_stored(device: int, sensor: int, at_us: int, state: State) -> bool:
    """Finish the oldest point whose neighbours are known, if it is ready; says if it was."""
    columns, points, step_us = state.columns, state.sampling.points, state.limits.step_us
    run, sums = state.sampling.run, state.sampling.sums
    point = points[device, sensor, DONE]
    if point >= points[device, sensor, KNOWN]:
        return False
    position = point & (REACH - 1)
    if not state.sampling.sparse[device, position, sensor]:
        if at_us - columns.phase_us[device] < (point + 2) * step_us:
            return False
        weight = sums[device, position, WEIGHT + sensor]
        if weight >= LEAST_WEIGHT:
            ahead = columns.slots[device] + point - run[device, GRID]
            here = state.places.at[device] + (ahead & state.places.mask[device])
            for axis in range(sensor * _AXES, (sensor + 1) * _AXES):
                state.rings.values[here, axis] = sums[device, position, axis] / weight
    points[device, sensor, DONE] = point + 1
    return True


@compiled_inline
def _advance(device: int, sensor: int, at_us: int, values: Floats, i: int, state: State) -> bool:
    """Finish one point with a sample at or after it; says if there was one."""
    columns, points, step_us = state.columns, state.sampling.points, state.limits.step_us
    run, sums = state.sampling.run, state.sampling.sums
    while True:
        if _finish_stored(device, sensor, at_us, state):
            return True
        point = points[device, sensor, KNOWN]
        point_us = columns.phase_us[device] + point * step_us
        if point_us > at_us:
            return False
        before_us = points[device, sensor, TIME_US]
        is_first = before_us == NEVER
        span_us = at_us - before_us
        near = point_us == at_us if is_first else span_us <= NEAR_US
        ahead = columns.slots[device] + point - run[device, GRID]
        here = state.places.at[device] + (ahead & state.places.mask[device])
        for axis in range(sensor * _AXES, (sensor + 1) * _AXES):
            value = values[i, axis]
            if not is_first:
                first = sums[device, NEWEST, axis]
                value = first + (value - first) * ((point_us - before_us) / span_us)
            state.rings.values[here, axis] = value
        other = 1 - sensor
        if run[device, PRESENT + other] and points[device, other, KNOWN] > point:
            near &= state.rings.real[here]
        state.rings.real[here] = near
        state.sampling.sparse[device, point & (REACH - 1), sensor] = is_first or span_us >= DENSE_US
        points[device, sensor, KNOWN] = point + 1
