from pathlib import Path

import numpy as np
import pytest

from streamer.datasets.profiled_recordings import read_profiled_recordings
from streamer.datasets.raw_recording import RawRecording, TimedLabel
from streamer.datasets.regular_grid import split_and_regularize
from streamer.datasets.signal_checks import find_faults
from streamer.errors import DataError
from streamer.profiles.profile import FileLayout, load_profile
from tests.support.foreign_files import (
    walk,
    write_coremotion,
    write_phyphox,
    write_rows,
    write_sensor_logger,
)

START_US = 1_700_000_000_000_000


def shipped(name: str) -> FileLayout:
    files = load_profile(name).files
    assert files is not None
    return files


def mine(tmp_path: Path, text: str) -> FileLayout:
    (tmp_path / "mine.toml").write_text(text)
    return shipped(str(tmp_path / "mine.toml"))


def rate_of(times_us: np.ndarray) -> float:
    return float(1e6 / np.median(np.diff(times_us)))


def assert_walks(raw: RawRecording) -> None:
    """Whatever form it came in, it is the same walk in g and rad/s on our axes."""
    assert np.abs(raw.acc.values.mean(axis=0) - (0.97, -0.2, 0.1)).max() < 0.02
    assert np.abs(raw.acc.values.std(axis=0) - np.array([0.3, 0.2, 0.1]) / np.sqrt(2)).max() < 0.02
    assert raw.gyro is not None
    assert np.abs(raw.gyro.values.std(axis=0) - np.array([0.4, 0.4, 0.3]) / np.sqrt(2)).max() < 0.02
    assert list(find_faults(raw)) == []


def test_a_folder_of_phyphox_has_sensors_of_two_rates_and_the_clock_of_its_start(
    tmp_path: Path,
) -> None:
    write_phyphox(tmp_path / "data" / "anna" / "walking_1")

    [raw] = read_profiled_recordings(tmp_path / "data", shipped("phyphox"))

    assert_walks(raw)
    assert raw.gyro is not None
    assert (raw.name, raw.subject, raw.from_epoch) == ("walking_1", "anna", True)
    assert raw.acc.times_us[0] == START_US
    assert raw.gyro.times_us[0] == START_US + 31_000
    assert [round(rate_of(each.times_us)) for each in raw.sensors] == [100, 102]
    assert raw.labels == (TimedLabel("walking", START_US, START_US + 12_000_000),)


# app       START        PAUSE  START          the app does not count the pause
# samples   |::::::::::::|      |::::::::::::|
def test_a_pause_of_phyphox_is_a_gap(tmp_path: Path) -> None:
    write_phyphox(tmp_path / "walking", pause_s=600)

    [raw] = read_profiled_recordings(tmp_path, shipped("phyphox"))

    assert np.diff(raw.acc.times_us).max() == 600_010_000
    assert [part.device_id for part in split_and_regularize(raw)] == [
        "walking_part1",
        "walking_part2",
    ]


def test_sensor_logger_has_gravity_in_a_file_of_its_own(tmp_path: Path) -> None:
    write_sensor_logger(tmp_path / "walking_2")

    [raw] = read_profiled_recordings(tmp_path, shipped("sensor-logger"))

    assert_walks(raw)
    assert [label.activity for label in raw.labels] == ["walking"]
    assert raw.subject == ""


def test_a_missing_file_of_gravity_is_an_error(tmp_path: Path) -> None:
    write_sensor_logger(tmp_path / "walking_2", gravity=False)

    [raw] = read_profiled_recordings(tmp_path, shipped("sensor-logger"))

    [fault] = find_faults(raw)
    assert fault.startswith("acceleration of walking_2 is without gravity (0.0")


def test_coremotion_has_no_times_and_the_other_sign(tmp_path: Path) -> None:
    write_coremotion(tmp_path / "wlk_7_sub_3.csv")

    [raw] = read_profiled_recordings(tmp_path / "wlk_7_sub_3.csv", shipped("coremotion"))

    assert_walks(raw)
    assert (raw.name, raw.subject, raw.from_epoch) == ("wlk_7_sub_3", "3", False)
    assert [label.activity for label in raw.labels] == ["walking"]
    assert rate_of(raw.acc.times_us) == 50


def test_rows_of_counts_without_header_end_with_a_semicolon(tmp_path: Path) -> None:
    _, acc, gyro = walk(12, 200)
    counts = [*(acc * 256).T.round().astype(int), *np.degrees(gyro / 0.06103515625).T.round()]
    # The board's y axis points down.
    x, y, z, gx, gy, gz = (column.astype(int) for column in counts)
    columns = [y, -x, z, gy, -gx, gz, x, y, z]
    path = write_rows(tmp_path / "D02_SA07_R01.txt", "", columns, separator=", ")
    path.write_text(path.read_text().replace("\n", ";\n"))

    [raw] = read_profiled_recordings(tmp_path, shipped("sisfall"))

    assert_walks(raw)
    assert (raw.subject, [label.activity for label in raw.labels]) == ("SA07", ["walking"])
    assert rate_of(raw.acc.times_us) == 200


def test_a_file_with_one_sensor_in_each_row_may_hold_several_devices(tmp_path: Path) -> None:
    times, acc, gyro = walk(12, 20)
    rows = ["% about it", "", "% TimeStamp; Sample No; X; Y; Z; Sensor Type; Sensor ID;"]
    for i, ms in enumerate((times * 1000).astype(int).tolist()):
        moved = ";".join(map(str, acc[i]))
        rows += [f"{ms};{i};{moved};0;{device}" for device in (0, 2)]
        rows.append(f"{ms};{i};{';'.join(map(str, np.degrees(gyro[i])))};1;2")
        rows.append(f"{ms};{i};30;40;50;2;2")
    name = "UMAFall_Subject_05_ADL_Walking_1_2017-01-01_00-00-00.csv"
    (tmp_path / name).write_text("\n".join(rows) + "\n")

    phone, tag = read_profiled_recordings(tmp_path, shipped("umafall"))

    assert_walks(tag)
    assert phone.gyro is None
    assert (phone.name[-2:], tag.name[-2:]) == ("_0", "_2")
    assert {phone.subject, tag.subject} == {"05"}
    assert [label.activity for label in tag.labels] == ["walking"]


def test_files_of_all_people_are_split_and_joined_by_person_and_device(tmp_path: Path) -> None:
    times, acc, gyro = walk(12, 100)
    columns = "Index,Arrival_Time,Creation_Time,x,y,z,User,Model,Device,gt"
    for name, values, separator in (
        ("Phones_accelerometer.csv", acc * 9.80665, ","),
        ("Phones_gyroscope.csv", gyro, "\t"),
    ):
        rows = [columns.replace(",", separator)]
        for who, device in (("a", "one"), ("a", "two"), ("b", "one")):
            for i, sample in enumerate(values.tolist()):
                done = "null" if i < 300 else "walk"
                time = f"{1.7e18 + times[i] * 1e9:.14E}"
                cells = [i, 0, time, *sample, who, "m", device, done]
                rows.append(separator.join(map(str, cells)))
        (tmp_path / name).write_text("\n".join(rows) + "\n")

    found = list(read_profiled_recordings(tmp_path, shipped("hhar")))

    assert [(raw.subject, raw.name[-5:]) for raw in found] == [
        ("a", "a_one"),
        ("a", "a_two"),
        ("b", "b_one"),
    ]
    for raw in found:
        assert_walks(raw)
        [label] = raw.labels
        assert label.start_us - raw.acc.times_us[0] == 3_000_000


OWN = """
[files]
name = '(?P<subject>[a-z]+)\\d*\\.csv$'
[files.time]
field = "when /s"
unit = "s"
since = "start"
[files.acc]
fields = ["a x", "a/y", "a z"]
unit = "mg"
[files.label]
"""


def test_columns_may_have_any_name_and_rows_may_have_labels(tmp_path: Path) -> None:
    layout = mine(tmp_path, OWN + 'field = "what?"\nnames = { stroll = "WALKING" }\n')
    times, acc, _ = walk(3, 50)
    labels = np.where(times < 1, "stroll", np.where(times < 2, "", "Rowing hard"))
    header = "when /s,a x,a/y,a z,what?"
    write_rows(tmp_path / "data" / "anna1.csv", header, [times, *(acc * 1000).T, labels])

    [raw] = read_profiled_recordings(tmp_path / "data", layout)

    assert (raw.subject, raw.gyro) == ("anna", None)
    np.testing.assert_allclose(raw.acc.values, acc, rtol=1e-12)
    assert raw.labels == (
        TimedLabel("walking", 0, 1_000_000),
        TimedLabel("rowing_hard", 2_000_000, 3_000_000),
    )


def test_labels_may_be_in_a_separate_file(tmp_path: Path) -> None:
    layout = mine(tmp_path, OWN + 'file = "labels/{stem}.csv"\nstart = "from"\nend = "to"\n')
    times, acc, _ = walk(3, 50)
    path = write_rows(tmp_path / "anna1.csv", "when /s,a x,a/y,a z", [times, *(acc * 1000).T])
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "anna1.csv").write_text("from,to,label\n0.5,1.25,WALKING\n2,3,null\n")

    [raw] = read_profiled_recordings(path, layout)

    assert raw.labels == (TimedLabel("walking", 500_000, 1_250_000),)


def test_times_may_be_iso_and_out_of_order(tmp_path: Path) -> None:
    text = OWN.replace('unit = "s"\nsince = "start"', 'unit = "iso8601"')
    rows = [
        "2023-11-14T22:13:21.500Z,1000,0,0",
        "2023-11-14T23:13:20+01:00,2000,0,0",
        "2023-11-14T22:13:21.500Z,3000,0,0",
        "2023-11-14T22:13:20.25,,,",
    ]
    path = tmp_path / "anna.csv"
    path.write_text("\n".join(["when /s,a x,a/y,a z", *rows]) + "\n")

    [raw] = read_profiled_recordings(path, mine(tmp_path, text))

    # Sorted; those of the same time become their mean; empty cells are left out.
    assert raw.acc.times_us.tolist() == [START_US, START_US + 1_500_000]
    assert raw.acc.values[:, 0].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("anna.csv", "when /s,a x,a/y\n0,1,2\n", "has no column 'a z'; it has 'when /s', 'a x'"),
        ("anna.csv", "when /s,a x,a/y,a z\n0,1,2\n", "line 2: 3 columns, 4 are expected"),
        ("anna.csv", "when /s,a x,a/y,a z\n\n0,1,2,x\n", "line 3: a z is not a finite number: 'x'"),
        ("anna.csv", "when /s,a x,a/y,a z\n0,1,2,inf\n", "line 2: a z is not a finite number"),
        ("anna.csv", "when /s,a x,a/y,a z\n,1,2,3\n", "line 2: when /s is missing"),
        ("anna.csv", "", "has no samples"),
        ("anna.csv", "when /s,a x,a/y,a z\n0,,,\n", "no sample with all of a x, a/y, a z"),
        ("ANNA.csv", "when /s,a x,a/y,a z\n0,1,2,3\n", "does not match the profile's `name`"),
    ],
)
def test_a_malformed_file_is_an_error_with_its_name_and_line(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(DataError, match=complaint) as error:
        list(read_profiled_recordings(tmp_path, mine(tmp_path, OWN)))
    assert name in str(error.value)


def test_a_folder_without_such_files_is_an_error_that_names_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expects files such as Accelerometer\.csv"):
        list(read_profiled_recordings(tmp_path, shipped("phyphox")))


@pytest.mark.parametrize(
    ("profile", "folder", "recordings"),
    [
        ("geotec", "geotec", 4),
        ("hhar", "hhar", 1),
        ("coremotion", "motionsense-csv", 3),
        ("phyphox", "phyphox", 1),
        ("sensor-logger", "sensor-logger", 2),
        ("sisfall", "sisfall-txt", 1),
        ("umafall", "umafall", 35),
    ],
)
def test_public_recordings_are_read_in_the_form_of_their_source(
    devices_dir: Path, profile: str, folder: str, recordings: int
) -> None:
    if not (devices_dir / folder).exists():
        pytest.skip(f"{devices_dir / folder} is not there")
    found = list(read_profiled_recordings(devices_dir / folder, shipped(profile)))
    faults = [fault for raw in found for fault in find_faults(raw)]

    assert len(found) >= min(recordings, 1)
    assert sum(len(list(split_and_regularize(raw))) for raw in found) >= len(found) - 1
    if profile == "sensor-logger":
        assert all("is without gravity" in fault for fault in faults)
    else:
        assert faults == []
