"""Decides how the samples of a device become slots: as they come, or resampled. Compiled.

A *run* is what a device sends from one start to the next, a *crossing* the first sample in a hop::

    hop        |    k-2    |    k-1    |     k     |
    samples     :::::::::::::::::::::::::::::::::::
                ^ crossing  ^ crossing  ^ crossing
                |<------------------------>| decides how hop k is sampled

Samples are taken as they come if they took as long, within 5%, as the slots that they are worth,
if three in five of these slots are samples, and if their steps are about even. All others are
resampled onto the device's grid, and so are samples of a single sensor. That rests on nothing older
than two hops, so a recovery decides the same. A change costs no restart: filters and windows do not
care who made a slot.

The first samples of a run are held, as slots of their own, until a hop's time of them is there.
Are they to be resampled, that begins with the first of them.
"""

from streamer.arrays import Ints
from streamer.compiled import compiled_inline, compiled_together
from streamer.features.filter_chains import CHAINS
from streamer.stream.device_columns import (
    ALWAYS,
    CROSSING_LANDED,
    CROSSING_UNEVEN_US,
    CROSSING_US,
    CROSSING_WORTH,
    DECIDED,
    FIRST_US,
    LAST_US,
    LOW,
    LOWS,
    NEXT_HOP_US,
    PRESENT,
    RESAMPLED,
    SENSOR_US,
    UNEVEN_US,
    WORTH,
)
from streamer.stream.resampling import begin_tracks, go_on_from_last_slot, next_slot, take_in
from streamer.stream.slots import Admitted, begin_slots, chain_low, slots_of
from streamer.stream.state import State
from streamer.stream.watermarks import BY_CLOCK, LIVES

HELD = 120
"""Slots of a run that are held at most."""

SINGLE = 1_000_000
"""Slots that a sample of a single sensor is worth: such samples are never taken as they come."""

TOLERANCE = 20
"""Samples whose rate is off by more than one part in this many are resampled."""

MOST_UNEVEN_US = 4_000
"""By how much steps in time may differ from those of slots on average: some 3.5 ms of jitter."""


@compiled_together
def starts_anew(device: int, at_us: int, acc: bool, gyro: bool, state: State) -> bool:
    """Return whether a sensor has paused for too long, or one comes that took no part."""
    run, limits = state.sampling.run, state.limits
    early = at_us - run[device, FIRST_US] <= limits.max_pause_us
    for sensor in range(2):
        sends = gyro if sensor else acc
        if run[device, PRESENT + sensor]:
            longest_us = limits.max_gap_us if sends else limits.max_pause_us
            if at_us - run[device, SENSOR_US + sensor] > longest_us:
                return True
        elif sends and (run[device, DECIDED] or not early):
            return True
    return False


@compiled_together
def begin_run(device: int, at_us: int, offset: int, begun: int, state: State) -> None:
    """Start a device anew with a sample; ``begun`` is the number of the life that begins, or 0."""
    by_clock = begun % LIVES == BY_CLOCK
    run, hop_us = state.sampling.run, state.limits.hop_us
    begin_slots(device, at_us, state)
    run[device, FIRST_US] = at_us
    run[device, WORTH] = 0
    run[device, UNEVEN_US] = 0
    if begun > 0:
        for kind in range(2):
            state.sensors.landed[device, kind] = 0
    for k in range(2):
        run[device, PRESENT + k] = 0
        run[device, CROSSING_US + k] = at_us
        run[device, CROSSING_WORTH + k] = 0
        run[device, CROSSING_LANDED + k] = state.sensors.landed[device, 0]
        run[device, CROSSING_UNEVEN_US + k] = 0
    into_us = (at_us - state.columns.phase_us[device]) % hop_us
    run[device, NEXT_HOP_US] = at_us - into_us + hop_us
    run[device, DECIDED] = 0
    run[device, RESAMPLED] = 0
    fold_low(device, state)
    if (begun > 0 and not by_clock) or not state.sensors.apart[device]:
        for k in range(LOWS):
            run[device, LOW + k] = ALWAYS
    run[device, LOW] = min(run[device, LOW], offset)
    low = chain_low(device, by_clock, state)
    for chain in range(CHAINS):
        state.cursor.low[device, chain] = low


@compiled_inline
def fold_low(device: int, state: State) -> None:
    """Let both chains depend on what came since the last crossing."""
    for chain in range(CHAINS):
        low = min(state.cursor.low[device, chain], state.sampling.run[device, LOW])
        state.cursor.low[device, chain] = low


@compiled_inline
def take_part(device: int, at_us: int, acc: bool, gyro: bool, state: State) -> None:
    """The sensors of a sample take part in the run."""
    for sensor in range(2):
        if gyro if sensor else acc:
            state.sampling.run[device, PRESENT + sensor] = 1
            state.sampling.run[device, SENSOR_US + sensor] = at_us


@compiled_inline
def remember(device: int, kind: int, at_us: int, state: State) -> None:
    """Remember a sample's time, for it may be repeated."""
    sensors = state.sensors
    count = sensors.landed[device, kind]
    cell = state.places.at[device] + (count & state.places.mask[device])
    state.rings.landed_us[kind, cell] = at_us
    sensors.landed[device, kind] = count + 1
    state.sampling.run[device, LAST_US] = at_us


@compiled_together
def hold_single(samples: Admitted, i: int, state: State) -> None:
    """Hold a sample of a single sensor until it is resampled."""
    columns, rings, device = state.columns, state.rings, samples.row[i]
    cell = state.places.at[device] + (columns.slots[device] & state.places.mask[device])
    rings.time_us[cell] = samples.time_us[i]
    rings.real[cell] = True
    for channel in range(samples.values.shape[1]):
        rings.values[cell, channel] = samples.values[i, channel]
    columns.slots[device] += 1


@compiled_inline
def depend(device: int, offset: int, state: State) -> None:
    """What comes from the device depends on this record from now on."""
    run = state.sampling.run
    run[device, LOW] = min(run[device, LOW], offset)


@compiled_together
def treat(device: int, at_us: int, single: bool, state: State, counts: Ints) -> int:
    """Decide how a sample and those after it are sampled; all but the usual case.

    Returns how many slots the sample is worth if it is taken as it comes.
    """
    run, limits, columns = state.sampling.run, state.limits, state.columns
    dt_us = at_us - run[device, LAST_US]
    slots = 1 if single else slots_of(dt_us, limits.step_us)
    run[device, WORTH] += SINGLE if single else slots
    run[device, UNEVEN_US] += abs(dt_us - slots * limits.step_us)
    was_decided, was_resampled = run[device, DECIDED], run[device, RESAMPLED]
    crosses = at_us >= run[device, NEXT_HOP_US]
    # Most samples of a resampled device decide nothing.
    off = (crosses or not was_decided) and _is_off(device, at_us, state)
    if not was_decided:
        first_us = run[device, FIRST_US]
        held = columns.slots[device] - columns.base[device]
        if at_us - first_us >= limits.hop_us or held + slots > HELD:
            run[device, DECIDED] = 1
            if off:
                _resample_run(device, state, counts)
    if crosses:
        _cross(device, at_us, state)
        if was_decided:
            run[device, RESAMPLED] = 1 if off else 0
    if single and run[device, DECIDED]:
        run[device, RESAMPLED] = 1
    if was_decided and run[device, RESAMPLED] and not was_resampled:
        go_on_from_last_slot(device, state)
    if was_resampled and not run[device, RESAMPLED]:
        if columns.slots[device] == columns.base[device]:
            return 1
        last = (columns.slots[device] - 1) & state.places.mask[device]
        last_us = state.rings.time_us[state.places.at[device] + last]
        slots = slots_of(at_us - last_us, limits.step_us)
    return slots


@compiled_inline
def _is_off(device: int, at_us: int, state: State) -> bool:
    """Return whether the samples since the newest crossing but one cannot be taken as they come.

    Too fast or slow, too few, or too uneven; at first since the run's beginning.
    """
    run, step_us = state.sampling.run, state.limits.step_us
    took_us = at_us - run[device, CROSSING_US + 1]
    nominal_us = (run[device, WORTH] - run[device, CROSSING_WORTH + 1]) * step_us
    samples = state.sensors.landed[device, 0] - run[device, CROSSING_LANDED + 1]
    uneven_us = run[device, UNEVEN_US] - run[device, CROSSING_UNEVEN_US + 1]
    return bool(
        abs(took_us - nominal_us) * TOLERANCE > nominal_us
        or 5 * samples * step_us < 3 * nominal_us
        or uneven_us > MOST_UNEVEN_US * samples
    )


@compiled_inline
def _cross(device: int, at_us: int, state: State) -> None:
    """A sample is the first one in its hop."""
    run, hop_us = state.sampling.run, state.limits.hop_us
    run[device, CROSSING_US + 1] = run[device, CROSSING_US]
    run[device, CROSSING_US] = at_us
    run[device, CROSSING_WORTH + 1] = run[device, CROSSING_WORTH]
    run[device, CROSSING_WORTH] = run[device, WORTH]
    run[device, CROSSING_LANDED + 1] = run[device, CROSSING_LANDED]
    run[device, CROSSING_LANDED] = state.sensors.landed[device, 0]
    run[device, CROSSING_UNEVEN_US + 1] = run[device, CROSSING_UNEVEN_US]
    run[device, CROSSING_UNEVEN_US] = run[device, UNEVEN_US]
    into_us = (at_us - state.columns.phase_us[device]) % hop_us
    run[device, NEXT_HOP_US] = at_us - into_us + hop_us
    fold_low(device, state)
    for k in range(LOWS - 1, 0, -1):
        run[device, LOW + k] = run[device, LOW + k - 1]
    run[device, LOW] = ALWAYS


@compiled_together
def _resample_run(device: int, state: State, counts: Ints) -> None:
    """Resample a run from its beginning: all of it is still there, as the slots that were held."""
    run, columns, held, rings = state.sampling.run, state.columns, state.held, state.rings
    at, mask = state.places.at[device], state.places.mask[device]
    count = 0
    for slot in range(columns.base[device], columns.slots[device]):
        cell = at + (slot & mask)
        if rings.real[cell]:
            held.time_us[count] = rings.time_us[cell]
            for channel in range(held.values.shape[1]):
                held.values[count, channel] = rings.values[cell, channel]
            count += 1
    # The same windows open again: none has opened with a sample of a single sensor.
    reopening = columns.opened[device] - columns.closed[device]
    columns.opened[device] = columns.closed[device]
    columns.slots[device] = columns.base[device]
    begin_slots(device, run[device, FIRST_US], state)
    columns.reopening[device] = reopening
    run[device, RESAMPLED] = 1
    begin_tracks(device, run[device, FIRST_US], state)
    for i in range(count):
        take_in(device, held.time_us[i], held.values, i, state)
        while next_slot(device, held.time_us[i], held.values, i, state, counts):
            pass
