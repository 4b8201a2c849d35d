import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from streamer.cli import main
from tests.support.foreign_files import (
    walk,
    write_coremotion,
    write_phyphox,
    write_rows,
    write_sensor_logger,
)


def inspect(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(
        main, ["devices", "inspect", *map(str, arguments)]
    )


def write_readings(path: Path, timestamp: float = 1.7e12, factor: float = 1.0) -> Path:
    _, acc, gyro = walk(6, 50)
    lines = [
        json.dumps(
            {
                "device_id": "phone-7",
                "timestamp": timestamp + i * 20,
                "interval_ms": 20,
                "acc": (acc[i : i + 50] * factor).tolist(),
                "gyro": gyro[i : i + 50].tolist(),
            }
        )
        for i in range(0, 300, 50)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rates_gaps_labels_and_units_are_shown_by_the_profile_that_fits(tmp_path: Path) -> None:
    write_phyphox(tmp_path / "anna" / "walking_1", pause_s=30)

    done = inspect(tmp_path)

    assert done.exit_code == 0, done.output
    assert "Read with --profile phyphox." in done.output
    lines = [line.rstrip() for line in done.output.splitlines()]
    acc, gyro = (line.split() for line in lines if line.endswith((" g", "rad/s")))
    assert acc[:5] == ["walking_1", "anna", "acc", "42.0", "100.0"]
    assert gyro[:3] == ["gyro", "42.0", "102.0"]
    assert acc[7:10] == ["1", "30.0", "s"]
    assert "walking_1: walking 42.0 s" in done.output
    assert "Rates and units are as they should be." in done.output


def test_a_file_of_one_sensor_is_described_with_the_files_of_the_other_sensors(
    tmp_path: Path,
) -> None:
    folder = write_sensor_logger(tmp_path / "walking_1", gravity=False)

    done = inspect(folder / "Gyroscope.csv")

    assert "Read with --profile sensor-logger." in done.output
    assert "acceleration of walking_1 is without gravity" in done.output


def test_json_records_of_other_programs_are_described_by_their_profile(tmp_path: Path) -> None:
    _, acc, gyro = walk(6, 50)
    payload = [
        {
            "name": name,
            "time": 1_700_000_000_000_000_000 + i * 20_000_000,
            "values": dict(zip("xyz", sample, strict=True)),
        }
        for name, values in (
            ("accelerometer", (acc - (0.97, -0.2, 0.1)) * 9.80665),
            ("gravity", np.tile((0.97, -0.2, 0.1), (len(acc), 1)) * 9.80665),
            ("gyroscope", gyro),
        )
        for i, sample in enumerate(values.tolist())
    ]
    path = tmp_path / "push.json"
    path.write_text(json.dumps({"deviceId": "phone-7", "payload": payload}, indent=1))

    done = inspect(path)

    assert "Read with --profile sensor-logger." in done.output
    assert "phone-7" in done.output
    assert "Rates and units are as they should be." in done.output


def test_json_readings_in_any_unit_are_described(tmp_path: Path) -> None:
    right = inspect(write_readings(tmp_path / "right.jsonl"))
    wrong = inspect(write_readings(tmp_path / "wrong.jsonl", factor=9.80665))

    assert "Rates and units are as they should be." in right.output
    assert "acceleration of phone-7 looks like m/s2 (9." in wrong.output


@pytest.mark.parametrize(
    ("timestamp", "unit"), [(1.7e9, "seconds"), (1.7e15, "microseconds"), (1.7e18, "nanoseconds")]
)
def test_timestamps_in_another_unit_are_named(tmp_path: Path, timestamp: float, unit: str) -> None:
    done = inspect(write_readings(tmp_path / "a.jsonl", timestamp))

    assert done.exit_code == 1
    assert "a.jsonl, record 1 is rejected: timestamp" in done.output
    assert f"looks like {unit} since the epoch" in done.output


def test_an_unknown_file_gets_a_profile_that_reads_it(tmp_path: Path) -> None:
    times, acc, gyro = walk(12, 25)
    stamps = (1_700_000_000_000 + times * 1000).astype(int)
    labels = np.where(times < 6, "run", "rest")
    degrees = np.degrees(gyro)
    columns = [stamps, *(acc * 1000).T, *degrees.T, *degrees.T, labels]
    header = "stamp;acc x;acc y;acc z;gyr_x(deg/s);gyr_y(deg/s);gyr_z(deg/s);magX;magY;magZ;what"
    path = write_rows(tmp_path / "mine.csv", header, columns, separator=";")

    done = inspect(path)
    profile = tmp_path / "mine.toml"
    profile.write_text(done.output[done.output.index("[files]") : done.output.index("\n- ")])
    again = inspect(path, "--profile", profile)

    assert done.exit_code == 0, done.output
    assert "No profile of the package fits." in done.output
    for line in (
        'field = "stamp"\nunit = "ms"\nsince = "epoch"',
        'fields = ["acc x", "acc y", "acc z"]\nunit = "mg"',
        'fields = ["gyr_x(deg/s)", "gyr_y(deg/s)", "gyr_z(deg/s)"]\nunit = "deg/s"',
        'field = "what"',
    ):
        assert line in done.output
    assert again.exit_code == 0, again.output
    assert "Rates and units are as they should be." in again.output
    assert "mine: run 6.0 s, rest 6.0 s" in again.output


def test_the_proposed_profile_adds_gravity_from_its_own_columns(tmp_path: Path) -> None:
    path = write_coremotion(tmp_path / "data.csv")
    path.write_text(path.read_text().replace("userAcceleration", "userAcc"))

    done = inspect(path)

    assert 'gravity = "separate"' in done.output
    assert '[files.gravity]\nfields = ["gravity.x", "gravity.y", "gravity.z"]' in done.output
    assert "no column of times was found" in done.output


def test_a_file_without_acceleration_is_an_error_that_lists_its_columns(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", "time,temperature", [np.arange(9), np.arange(9)])

    done = inspect(path)

    assert done.exit_code == 1
    assert "no three columns look like acceleration; it has 'time', 'temperature'" in done.output


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("geotec", "Read with --profile geotec."),
        ("hhar", "Read with --profile hhar."),
        ("motionsense-csv", "Read with --profile coremotion."),
        ("phyphox", "Read with --profile phyphox."),
        ("sensor-logger", "is without gravity"),
        ("sisfall-txt", "Read with --profile sisfall."),
        ("umafall", "Read with --profile umafall."),
        ("cases/01_right_walk.jsonl", "as they should be"),
        ("cases/02_acc_in_ms2.jsonl", "looks like m/s2"),
        ("cases/03_gyro_in_deg.jsonl", "looks like deg/s"),
        ("cases/04_no_gravity.jsonl", "is without gravity"),
        ("cases/06_gyro_zero.jsonl", "never changes"),
        ("cases/07_right_stand.jsonl", "as they should be"),
        ("cases/08_100Hz_iphone_walk.jsonl", "as they should be"),
        ("cases/10_seconds_timestamps.jsonl", "looks like seconds"),
        ("cases/13_sensorlogger_push.json", "Read with --profile sensor-logger."),
        ("cases/11_ns_timestamps.jsonl", "looks like nanoseconds"),
    ],
)
def test_public_recordings_are_described_as_they_are(
    devices_dir: Path, source: str, words: str
) -> None:
    if not (devices_dir / source).exists():
        pytest.skip(f"{devices_dir / source} is not there")
    assert words in inspect(devices_dir / source).output
