from functools import cache
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.datasets.class_names import PUBLIC_NAMES, activity_of_label
from streamer.features.window_shape import WINDOW
from streamer.publishing.motions import MOTIONS, POSTURE_CHANGES, REACHABLE, Activity
from streamer.publishing.people import RATE_HZ, Person

ACTIVITIES = dict(enumerate(MOTIONS, 1))
GAITS = [number for number, activity in ACTIVITIES.items() if MOTIONS[activity].gait]
STILL = [number for number in ACTIVITIES if number not in GAITS]
CHANGES = {number: change for change, number in POSTURE_CHANGES.items()}
PEOPLE = range(12)
MINUTES = 6


@cache
def life(seed: int) -> tuple[Floats, list[tuple[int, int, int]]]:
    """Samples (n, 6) of a person, and (truth, start, end) of all that came to its end."""
    samples, truth = Person(seed).take(MINUTES * 60 * RATE_HZ)
    pieces, start = [], 0
    for number, run in groupby(truth.tolist()):
        end = start + len(list(run))
        pieces.append((number, start, end))
        start = end
    return samples, pieces[:-1]


def pieces_of(*numbers: int) -> list[tuple[int, Floats]]:
    """What everybody's phone measured during these activities: (number, samples)."""
    return [
        (number, samples[start:end])
        for samples, pieces in map(life, PEOPLE)
        for number, start, end in pieces
        if number in numbers
    ]


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=6))
def test_the_way_in_which_samples_are_requested_does_not_matter(sizes: list[int]) -> None:
    person = Person(3)
    parts = [person.take(size) for size in sizes]
    samples, truth = Person(3).take(sum(sizes))

    np.testing.assert_array_equal(np.concatenate([part for part, _ in parts]), samples)
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), truth)


def test_every_seed_is_another_person() -> None:
    days = [samples for samples, _ in map(life, PEOPLE)]

    assert all((one != other).mean() > 0.9 for one, other in pairwise(days))


def test_synthetic_people_are_sampled_at_the_rate_of_the_features() -> None:
    assert WINDOW.rate_hz == RATE_HZ


def test_activities_are_numbered_as_in_the_public_data_set() -> None:
    assert list(MOTIONS) == [activity_of_label(PUBLIC_NAMES[i]) for i in range(1, 7)]


def test_synthetic_people_do_every_activity_and_every_movement() -> None:
    happened = {number for _, pieces in map(life, PEOPLE) for number, _, _ in pieces}

    assert happened == {0, *ACTIVITIES, *CHANGES}


def test_people_do_only_activities_that_can_follow_each_other() -> None:
    for _, pieces in map(life, PEOPLE):
        done = [number for number, _, _ in pieces]
        activities, changes = done[::2], done[1::2]
        assert set(activities) <= set(ACTIVITIES)
        for (before, after), change in zip(pairwise(activities), changes, strict=False):
            here, there = ACTIVITIES[before], ACTIVITIES[after]
            assert there in REACHABLE[here]
            assert change == POSTURE_CHANGES.get((here, there), 0)


def test_sitting_and_lying_never_follow_a_gait_directly() -> None:
    for activity, following in REACHABLE.items():
        if MOTIONS[activity].gait:
            assert not {Activity.SITTING, Activity.LAYING} & set(following)


def test_activities_and_movements_last_as_long_as_their_tables_say() -> None:
    seconds = {number: MOTIONS[activity].seconds for number, activity in ACTIVITIES.items()}
    seconds |= dict.fromkeys(CHANGES, (2.0, 5.0))
    for number, samples in pieces_of(*seconds):
        shortest, longest = seconds[number]
        assert shortest <= len(samples) / RATE_HZ <= longest


def test_at_rest_there_is_nothing_but_gravity_as_phones_measure_it() -> None:
    for _, samples in pieces_of(*STILL):
        size = np.linalg.norm(samples[:, :3], axis=1)
        assert 1.005 < size.mean() < 1.035
        assert size.std() < 0.02


def test_people_walk_in_a_natural_cadence() -> None:
    for number, samples in pieces_of(*GAITS):
        gait = MOTIONS[ACTIVITIES[number]].gait
        assert gait is not None
        slowest, fastest = gait.step_hz
        upwards = samples[:, 0] - samples[:, 0].mean()
        power = np.square(np.abs(np.fft.rfft(upwards * np.hanning(len(upwards)), 1 << 13)))
        step_hz = np.fft.rfftfreq(1 << 13, 1 / RATE_HZ)[power.argmax()]
        # It drifts by some percent.
        assert 0.92 * slowest < step_hz < 1.08 * fastest


@pytest.mark.parametrize("number", GAITS)
def test_gaits_have_the_variance_of_real_ones(number: int) -> None:
    # Standard deviations of the body's acceleration in x y z, as measured on people.
    real = {1: (0.22, 0.17, 0.13), 2: (0.25, 0.17, 0.15), 3: (0.38, 0.18, 0.14)}[number]
    measured = np.median([piece[:, :3].std(axis=0) for _, piece in pieces_of(number)], axis=0)

    np.testing.assert_allclose(measured, real, rtol=0.25)


def test_heels_strike_hardest_downstairs() -> None:
    jerk = {
        number: np.median([np.abs(np.diff(piece[:, 0])).max() for _, piece in pieces_of(number)])
        for number in GAITS
    }

    assert jerk[3] > 1.2 * jerk[1]
    assert jerk[3] > 1.2 * jerk[2]


def test_the_gyroscope_turns_gravity_as_the_accelerometer_sees_it() -> None:
    for samples, pieces in map(life, PEOPLE):
        for number, start, end in pieces:
            if number not in CHANGES:
                continue
            acc, gyro = samples[:, :3], samples[:, 3:]
            direction = acc[start - 10 : start].mean(axis=0)
            for rotation in gyro[start:end]:
                # What is fixed in the world turns the other way in the phone.
                direction = direction - np.cross(rotation, direction) / RATE_HZ
            after = acc[end : end + 10].mean(axis=0)
            cosine = direction @ after / np.linalg.norm(direction) / np.linalg.norm(after)
            assert np.degrees(np.arccos(cosine)) < 6


def test_there_are_no_jumps_between_activities() -> None:
    for samples, pieces in map(life, PEOPLE):
        for number, start, end in pieces:
            if number in STILL:
                edges = np.abs(np.diff(samples, axis=0))[
                    [start - 1, end - 1] if start else [end - 1]
                ]
                assert edges[:, :3].max() < 0.03
                assert edges[:, 3:].max() < 0.1
