import io
import math
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from streamer.contracts.readings import ACC, GYRO, Decoded, Format
from streamer.datasets.public_recordings import read_recordings
from streamer.datasets.raw_recording import RawRecording, SensorSeries
from streamer.errors import DataError
from streamer.publishing.recorded_device import REPLAY_HEADER, RecordedDevice, ReplayInfo
from streamer.publishing.replay import replay
from streamer.publishing.sending import Sending
from tests.conftest import MakeSettings
from tests.support.published import read_partitions
from tests.support.recordings import write_raw_dir
from tests.support.records import NOW_MS, ARecord, decode

SKEW_US = 300_000_000


@pytest.fixture(scope="module")
def raw_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw_dir(tmp_path_factory.mktemp("RawData"), users=2)


def silence() -> Console:
    return Console(file=io.StringIO())


def recording(
    samples: int = 1000, step_us: int = 20_000, gyro_step_us: int = 20_000, gyro_us: int = 0
) -> RawRecording:
    """As long as so many samples of the accelerometer; rotation begins ``gyro_us`` later."""
    rng = np.random.default_rng(0)
    acc_us = np.arange(samples) * step_us
    rotation_us = np.arange(0, samples * step_us, gyro_step_us) + gyro_us
    acc, gyro = (SensorSeries(at, rng.normal(size=(len(at), 3))) for at in (acc_us, rotation_us))
    return RawRecording("exp01_user01", "1", acc, gyro)


def decoded_messages(phone: RecordedDevice) -> Decoded:
    """All that a device sends, read again."""
    records = [ARecord(m.key, m.value, tuple(m.headers)) for m in phone.until(NOW_MS + 60_000)]
    decoded = decode(records, SKEW_US)
    assert not decoded.rejects
    assert decoded.device_ids == ["exp01_user01"]
    return decoded


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("batch", [1, 7, 1500])
@pytest.mark.parametrize("step_us", [20_000, 5_000, 40_000])
def test_a_recording_is_sent_whole_at_its_rate(batch: int, form: Format, step_us: int) -> None:
    measured = recording(1000, step_us, step_us)
    phone = RecordedDevice(measured, NOW_MS, Sending(batch=batch, format=form), loop=False)
    decoded = decoded_messages(phone)

    assert decoded.complete
    assert phone.samples == 1000
    np.testing.assert_array_equal(decoded.time_us, NOW_MS * 1000 + np.arange(1000) * step_us)
    assert measured.gyro is not None
    expected = np.concatenate([measured.acc.values, measured.gyro.values], axis=1)
    np.testing.assert_allclose(decoded.values, expected, rtol=1e-6 if form is Format.F32 else 0)


@pytest.mark.parametrize("batch", [1, 10])
def test_sensors_with_times_of_their_own_are_sent_apart(batch: int) -> None:
    #   acc    0    10    20    30     100 Hz
    #   gyro     7           27         50 Hz
    measured = recording(400, 10_000, 20_000, 7_000)
    phone = RecordedDevice(measured, NOW_MS, Sending(batch=batch), loop=False)
    decoded = decoded_messages(phone)

    assert measured.gyro is not None
    for sensor, series in ((ACC, measured.acc), (GYRO, measured.gyro)):
        own = decoded.sensors == sensor
        np.testing.assert_array_equal(decoded.time_us[own], NOW_MS * 1000 + series.times_us)
        columns = decoded.values[own][:, :3] if sensor == ACC else decoded.values[own][:, 3:]
        np.testing.assert_array_equal(columns, series.values)
    assert len(decoded.record) == len(measured.acc) + len(measured.gyro)


def test_a_batch_ends_where_samples_are_uneven_or_missing() -> None:
    #   0 20 40 60 80  95  120 140 ....  1000 1020
    times_us = np.array([0, 20, 40, 60, 80, 95, 120, 140, 1000, 1020]) * 1000
    acc = SensorSeries(times_us, np.ones((10, 3)))
    measured = RawRecording("exp01_user01", "1", acc, None)
    decoded = decoded_messages(RecordedDevice(measured, NOW_MS, Sending(batch=10), loop=False))

    np.testing.assert_allclose(decoded.time_us, NOW_MS * 1000 + times_us, atol=500)
    assert decoded.record[-1] < 7
    assert set(decoded.sensors) == {ACC}


def test_nothing_is_sent_before_its_last_sample_is_taken() -> None:
    phone = RecordedDevice(recording(), NOW_MS, Sending(batch=50), loop=False)

    assert phone.until(NOW_MS + 49 * 20 - 1) == []
    assert len(phone.until(NOW_MS + 49 * 20)) == 1


def test_the_first_record_describes_the_replay() -> None:
    phone = RecordedDevice(recording(), NOW_MS, Sending(batch=10), loop=False)
    first, *others = phone.until(NOW_MS + 20_000)

    info = msgspec.json.decode(dict(first.headers)[REPLAY_HEADER] or b"", type=ReplayInfo)
    assert info == ReplayInfo(start_ms=NOW_MS, samples=1000, interval_ms=20)
    assert not any(REPLAY_HEADER in dict(other.headers) for other in others)


def test_a_loop_announces_every_round_and_leaves_a_gap_before_it() -> None:
    phone = RecordedDevice(recording(100), NOW_MS, Sending(batch=10), loop=True)
    messages = phone.until(NOW_MS + 12_500)
    announced = [
        msgspec.json.decode(value or b"", type=ReplayInfo).start_ms
        for message in messages
        for name, value in message.headers
        if name == REPLAY_HEADER
    ]

    assert len(announced) == 4
    assert set(np.diff(announced)) == {100 * 20 + 2000}


async def test_recordings_are_published_whole_and_in_order(
    make_settings: MakeSettings, raw_dir: Path
) -> None:
    settings = make_settings(partitions=3)
    before_ms = time.time() * 1000
    sent = await replay(settings, raw_dir, Sending(speed=math.inf), console=silence())
    partitions = await read_partitions(settings)

    recordings = {each.device_id: each.acc_gyro for each in read_recordings(raw_dir)}
    assert sent.samples == sum(map(len, recordings.values()))
    seen = []
    for records in partitions.values():
        decoded = decode(records, SKEW_US)
        assert not decoded.rejects
        for i, device_id in enumerate(decoded.device_ids):
            own = decoded.device == i
            np.testing.assert_array_equal(decoded.values[own], recordings[device_id])
            assert set(np.diff(decoded.time_us[own])) == {20_000}
            assert decoded.time_us[own][-1] <= (before_ms + 5000) * 1000
            first = next(r for r in records if r.key == device_id.encode())
            assert [name for name, _ in first.headers] == [REPLAY_HEADER]
            seen.append(device_id)
    assert sorted(seen) == sorted(recordings)


async def test_records_of_all_devices_are_published_in_the_order_of_time(
    make_settings: MakeSettings, raw_dir: Path
) -> None:
    settings = make_settings(partitions=1)
    await replay(settings, raw_dir, Sending(speed=math.inf), console=silence())
    (records,) = (await read_partitions(settings)).values()

    decoded = decode(records, SKEW_US)
    # Nobody is far ahead of another, as it would be if recordings came one after the other.
    assert (np.maximum.accumulate(decoded.time_us) - decoded.time_us).max() <= 1_000_000


async def test_only_devices_that_match_are_published(
    make_settings: MakeSettings, raw_dir: Path
) -> None:
    settings = make_settings()
    sending = Sending(speed=math.inf, batch=100)
    await replay(settings, raw_dir, sending, only="*_user02", console=silence())

    keys = {r.key for records in (await read_partitions(settings)).values() for r in records}
    assert keys == {b"exp02_user02"}


async def test_a_pattern_that_matches_nothing_is_an_error(
    make_settings: MakeSettings, raw_dir: Path
) -> None:
    with pytest.raises(DataError, match="exp01_user01 to exp02_user02"):
        await replay(make_settings(), raw_dir, Sending(), only="phone*", console=silence())


async def test_nothing_is_published_from_the_future(
    make_settings: MakeSettings, raw_dir: Path
) -> None:
    tomorrow = Sending(start_ms=time.time() * 1000 + 86_400_000)
    with pytest.raises(DataError, match=r"86,[34]\d\d s in the future"):
        await replay(make_settings(), raw_dir, tomorrow, console=silence())
