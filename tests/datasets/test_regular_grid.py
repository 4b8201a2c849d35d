import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.datasets.raw_recording import RawRecording, SensorSeries, TimedLabel
from streamer.datasets.recording import Segment
from streamer.datasets.regular_grid import STEP_US, resample, split_and_regularize
from tests.stream.reference_resampling import Track
from tests.support.foreign_files import walk


def series(values: np.ndarray, times_s: np.ndarray) -> SensorSeries:
    return SensorSeries.of(np.round(times_s * 1e6).astype(np.int64), values)


def recording(rate_hz: float, gyro_delay_s: float = 0.0, seconds: float = 10) -> RawRecording:
    times, acc, gyro = walk(seconds, rate_hz)
    labels = (TimedLabel("walking", 1_000_000, 9_000_000),)
    return RawRecording("a", "anna", series(acc, times), series(gyro, times + gyro_delay_s), labels)


def test_samples_at_50_hz_are_taken_as_they_are() -> None:
    raw = recording(50)

    [part] = split_and_regularize(raw)

    assert raw.gyro is not None
    np.testing.assert_array_equal(part.acc_gyro, np.hstack([raw.acc.values, raw.gyro.values]))
    assert part.segments == (Segment("walking", 50, 450),)


@pytest.mark.parametrize("rate_hz", [20, 25, 62.5, 99.3, 200, 400, 1000])
@pytest.mark.parametrize("gyro_delay_s", [0, 0.007])
def test_other_rates_and_separate_sensors_give_nearly_the_same_samples(
    rate_hz: float, gyro_delay_s: float
) -> None:
    [part] = split_and_regularize(recording(rate_hz, gyro_delay_s))

    times = gyro_delay_s + np.arange(len(part.acc_gyro)) / 50
    swing = np.sin(2 * np.pi * 1.75 * times)[:, None] * (0.3, 0.2, 0.1)
    assert len(part.acc_gyro) == pytest.approx(500, abs=3)
    error = part.acc_gyro[:, :3] - swing - (0.97, -0.2, 0.1)
    # What remains is noise, and at low rates what lies between the samples.
    assert np.sqrt((error**2).mean()) < (0.006 if rate_hz > 30 else 0.012)
    [segment] = part.segments
    assert segment.end0 - segment.start0 == pytest.approx(400, abs=1)


def test_a_device_without_gyroscope_has_zeros_for_rotation() -> None:
    raw = recording(100)
    without = RawRecording(raw.name, raw.subject, raw.acc, None)

    [part] = split_and_regularize(without)

    assert not part.acc_gyro[:, 3:].any()


# acc       |::::::::::::::::::|     |::::::::::::::::::|
# gyro      |::::::::|   |::::::::::::::::::::::::::::::|
# parts     |::::::::|   |:::::|     |::::::::::::::::::|
def test_a_gap_of_either_sensor_ends_a_part() -> None:
    raw = recording(50, seconds=20)
    assert raw.gyro is not None
    acc = raw.acc.times_us // 1_000_000
    gyro = raw.gyro.times_us // 1_000_000
    keep_acc, keep_gyro = (acc < 10) | (acc > 13), (gyro < 4) | (gyro > 5)
    cut = RawRecording(
        "a",
        "anna",
        SensorSeries(raw.acc.times_us[keep_acc], raw.acc.values[keep_acc]),
        SensorSeries(raw.gyro.times_us[keep_gyro], raw.gyro.values[keep_gyro]),
    )

    parts = list(split_and_regularize(cut))

    assert [part.device_id for part in parts] == ["a_part1", "a_part2", "a_part3"]
    assert [len(part.acc_gyro) for part in parts] == [200, 200, 300]


@given(
    steps=st.lists(st.integers(1000, 90_000), min_size=30, max_size=120),
    level=st.floats(-2, 2),
    slope=st.floats(-1, 1),
)
def test_a_constant_stays_and_a_line_stays_where_samples_are_sparse(
    steps: list[int], level: float, slope: float
) -> None:
    times = np.cumsum(steps)
    points = np.arange(times[0], times[-1], STEP_US)
    constant = SensorSeries(times, np.full((len(times), 3), level))
    np.testing.assert_allclose(resample(constant, points), level, atol=1e-12)
    sparse = np.arange(len(times)) * 16_000
    points = np.arange(sparse[0], sparse[-1], STEP_US)
    line = SensorSeries(sparse, np.tile(level + slope * sparse[:, None] / 1e6, (1, 3)))
    np.testing.assert_allclose(
        resample(line, points)[:, 0], level + slope * points / 1e6, atol=1e-9
    )


@given(
    steps=st.lists(st.integers(200, 120_000), min_size=5, max_size=80),
    into_us=st.integers(0, STEP_US - 1),
    seed=st.integers(0, 1000),
)
def test_whole_recordings_are_resampled_as_a_worker_does_it_sample_by_sample(
    steps: list[int], into_us: int, seed: int
) -> None:
    times = np.cumsum(steps)
    values = np.random.default_rng(seed).normal(size=(len(times), 3))
    first = int(times[0]) + into_us
    live = Track(first)
    for time_us, value in zip(times.tolist(), values, strict=True):
        live.take(time_us, value, STEP_US)
    points = first + STEP_US * np.arange(len(live.points))
    # The live one waits for two steps more; a last point may weigh what comes after that.
    expected = np.array([value for value, _ in live.points]).reshape(-1, 3)
    if len(points):
        found = resample(SensorSeries(times, values), points)
        inside = points >= times[0] + 2 * STEP_US
        np.testing.assert_allclose(found[inside], expected[inside], atol=1e-12)
