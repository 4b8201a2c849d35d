"""Rows of sensors, joined: the way for rows in the order of time against the way for any order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.arrays import Bools, Floats, Ints
from streamer.profiles import columns
from streamer.profiles.ordered_rows import add_gravity_in_order, are_in_order

Rows = tuple[Ints, Bools, Bools, Floats, Floats, Floats]


@st.composite
def ordered(draw: st.DrawFn) -> Rows:
    """Rows of two sensors, each in order: owner, who has what, times, values."""
    count = np.array(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)), np.int64)
    rows, rng = int(count.sum()), np.random.default_rng(draw(st.integers(0, 2**32)))
    owner = np.repeat(np.arange(len(count)), count)
    one, other = rng.integers(0, 2, (2, rows)).astype(np.bool_)

    def times() -> Floats:
        found = rng.integers(0, 4, rows).astype(np.float64)
        return np.concatenate([np.sort(found[owner == i]) for i in range(len(count))])

    return owner, one, other, times(), times(), rng.normal(size=(rows, 6))


@settings(max_examples=300, deadline=None)
@given(ordered())
def test_sensors_are_joined_in_the_same_way(rows: Rows) -> None:
    owner, acc, gyro, acc_us, gyro_us, values = rows
    acc_rows, gyro_rows = np.flatnonzero(acc), np.flatnonzero(gyro)
    assert are_in_order(owner, acc_rows, acc_us)
    expected = columns.join(acc, gyro, acc_us, gyro_us, values, owner, {})
    found = columns.join_rows_in_order(owner, acc_rows, gyro_rows, acc_us, gyro_us, values, {})
    for name in ("owner", "time_us", "values", "sensors"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()


@settings(max_examples=300, deadline=None)
@given(ordered())
def test_gravity_is_added_in_the_same_way(rows: Rows) -> None:
    owner, acc, gravity, acc_us, gravity_us, values = rows
    vectors = values[:, :3].copy()
    one, other = np.ones((2, len(owner), 6))
    columns.add_gravity(one, vectors, acc, gravity, acc_us, gravity_us, owner)
    rows_of = np.flatnonzero(acc), np.flatnonzero(gravity)
    add_gravity_in_order(owner, *rows_of, acc_us, gravity_us, other, vectors)
    assert one.tobytes() == other.tobytes()


def test_times_that_go_back_or_are_missing_are_out_of_order() -> None:
    owner, rows = np.array([0, 0, 1]), np.arange(3)
    assert are_in_order(owner, rows, np.array([1.0, 1.0, 0.0]))
    assert not are_in_order(owner, rows, np.array([2.0, 1.0, 0.0]))
    assert not are_in_order(owner, rows, np.array([1.0, 1.0, np.nan]))
