from pathlib import Path

import numpy as np
import pytest

from streamer.datasets.csv_recordings import STANDARD_GRAVITY, Columns, read_csv_recordings
from streamer.datasets.public_recordings import read_labels
from streamer.datasets.recording import Segment
from streamer.errors import DataError

OWN = Columns(
    acc=("ax", "ay", "az"),
    gyro=("gx", "gy", "gz"),
    label="what",
    time="t",
    subject="who",
    acc_unit="m/s2",
)
HEADER = "t,who,ax,ay,az,gx,gy,gz,what\n"


def row(i: int, label: str = "Rowing", who: str = "anna") -> str:
    return f"{i * 0.02:.2f},{who},{9.80665 * i},0,0,{i},0,1,{label}\n"


def test_columns_go_by_the_names_that_they_are_given(tmp_path: Path) -> None:
    labels = ["Rowing", "Rowing", "", "ROWING_TO_REST", "rest", "rest"]
    rows = "".join(row(i, label) for i, label in enumerate(labels))
    (tmp_path / "first.csv").write_text(HEADER + rows)

    [recording] = read_csv_recordings(tmp_path, OWN)

    assert (recording.device_id, recording.subject) == ("first", "anna")
    np.testing.assert_allclose(recording.acc_gyro[:, 0], np.arange(6), rtol=1e-12)
    np.testing.assert_array_equal(recording.acc_gyro[:, 3], np.arange(6))
    assert recording.segments == (
        Segment("rowing", 0, 2),
        Segment("rowing>rest", 3, 4),
        Segment("rest", 4, 6),
    )
    assert STANDARD_GRAVITY == 9.80665


def test_without_a_column_for_it_the_file_says_who(tmp_path: Path) -> None:
    for name in ("bea", "anna"):
        text = "acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z,label\n1,2,3,4,5,6,walking\n"
        (tmp_path / f"{name}.csv").write_text(text)

    recordings = list(read_csv_recordings(tmp_path, Columns()))

    assert [recording.subject for recording in recordings] == ["anna", "bea"]
    assert recordings[0].acc_gyro.tolist() == [[1, 2, 3, 4, 5, 6]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("t,who,ax,ay\n", "has no column az, gx, gy, gz, what; it has t, who, ax, ay"),
        (HEADER + "0,anna,1,1,1,1,1,one,rest\n", "line 2: expected finite numbers in ax, ay"),
        (HEADER + "0,anna,1,1,1,1,1\n", "line 2: expected finite numbers"),
        (HEADER + "0,anna,1,1,1,1,1,nan,rest\n", "line 2: expected finite numbers"),
        (HEADER + row(0) + row(1, who="bea"), "samples of 2 subjects"),
        (HEADER + row(0) + row(2) + row(4), "samples are 0.04 s apart, 0.02 s are expected"),
    ],
)
def test_a_malformed_file_is_a_clear_error(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "bad.csv").write_text(text)

    with pytest.raises(DataError, match=complaint) as raised:
        list(read_csv_recordings(tmp_path, OWN))
    assert "bad.csv" in str(raised.value)


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected \.csv files"):
        read_csv_recordings(tmp_path, OWN)


def test_numbers_of_activities_have_the_names_that_a_file_gives_them(tmp_path: Path) -> None:
    raw_dir = tmp_path / "RawData"
    raw_dir.mkdir()
    (raw_dir / "labels.txt").write_text("1 1 1 1 200\n1 1 7 201 300\n2 9 13 5 9\n")
    (tmp_path / "activity_labels.txt").write_text("1 ROWING\n13 Resting well\n")

    assert read_labels(raw_dir / "labels.txt") == {
        "exp01_user01": [Segment("rowing", 0, 200), Segment("standing>sitting", 200, 300)],
        "exp02_user09": [Segment("resting_well", 4, 9)],
    }


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ("1 ROWING\n", r"labels\.txt, line 1: activity 13 has no name"),
        ("13\n", r"activity_labels\.txt, line 1: expected a number and a name"),
    ],
)
def test_an_activity_without_a_name_is_refused(tmp_path: Path, names: str, complaint: str) -> None:
    (tmp_path / "labels.txt").write_text("1 1 13 1 200\n")
    (tmp_path / "activity_labels.txt").write_text(names)

    with pytest.raises(DataError, match=complaint):
        read_labels(tmp_path / "labels.txt")
