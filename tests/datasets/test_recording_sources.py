from pathlib import Path

import numpy as np
import pytest

from streamer.datasets.recording_sources import read_for_learning, read_for_replay, read_segments
from streamer.errors import DataError
from streamer.profiles.profile import FileLayout, load_profile
from tests.support.foreign_files import walk, write_phyphox, write_rows, write_sensor_logger

GAPS = """
[files]
name = '(?P<subject>[a-z]+)[.]csv$'
[files.time]
field = "t"
unit = "s"
[files.acc]
fields = ["x", "y", "z"]
unit = "g"
[files.label]
field = "label"
"""


@pytest.fixture
def gaps(tmp_path: Path) -> FileLayout:
    (tmp_path / "gaps.toml").write_text(GAPS)
    files = load_profile(str(tmp_path / "gaps.toml")).files
    assert files is not None
    return files


def shipped(name: str) -> FileLayout:
    files = load_profile(name).files
    assert files is not None
    return files


# time       0 s          6 s           606 s         612 s
# samples    |::walking:::|             |::::sitting::|
def test_a_gap_of_ten_minutes_is_noted_and_ends_a_part(tmp_path: Path, gaps: FileLayout) -> None:
    times, acc, _ = walk(12, 50)
    times += np.where(times < 6, 0, 600)
    labels = np.where(times < 6, "WALKING", "SITTING")
    write_rows(tmp_path / "data" / "anna.csv", "t,x,y,z,label", [times, *acc.T, labels])
    notes: list[str] = []

    parts = read_for_learning(tmp_path / "data", gaps, notes.append, needs_gyroscope=False)

    assert [(part.device_id, part.subject) for part in parts] == [
        ("anna_part1", "anna"),
        ("anna_part2", "anna"),
    ]
    assert [[s.activity for s in part.segments] for part in parts] == [["walking"], ["sitting"]]
    [note] = notes
    assert note == (
        "anna: gaps of more than 200 ms: 1, the longest 600.0 s; parts between them that are long "
        "enough for a window: 2"
    )


def test_short_or_unlabelled_recordings_are_left_out_with_a_note(
    tmp_path: Path, gaps: FileLayout
) -> None:
    for name, seconds, label in (("anna", 12, "WALKING"), ("bea", 1, "WALKING"), ("carl", 12, "")):
        times, acc, _ = walk(seconds, 50)
        columns = [times, *acc.T, np.full(len(times), label)]
        write_rows(tmp_path / "data" / f"{name}.csv", "t,x,y,z,label", columns)
    notes: list[str] = []

    [part] = read_for_learning(tmp_path / "data", gaps, notes.append, needs_gyroscope=False)

    assert part.device_id == "anna"
    assert notes == [
        "bea is shorter than a window; it is left out",
        "carl has no labels that the profile knows; it is left out",
    ]


def test_a_recording_without_gravity_is_replayed_but_not_learned_from(tmp_path: Path) -> None:
    folder = write_sensor_logger(tmp_path / "walking_1", gravity=False)
    notes: list[str] = []

    with pytest.raises(DataError, match="is without gravity"):
        read_for_learning(folder, shipped("sensor-logger"), notes.append)
    [part] = read_for_replay(folder, shipped("sensor-logger"), "*", notes.append)

    assert part.name == "walking_1"
    assert len(notes) == 1
    assert "is without gravity" in notes[0]


def test_a_recording_in_the_public_layout_in_other_units_is_replayed_but_not_learned_from(
    tmp_path: Path,
) -> None:
    _, acc, gyro = walk(12, 50)
    np.savetxt(tmp_path / "acc_exp01_user01.txt", acc * 9.81, "%.6f")
    np.savetxt(tmp_path / "gyro_exp01_user01.txt", gyro, "%.6f")
    (tmp_path / "labels.txt").write_text("1 1 1 1 600\n")
    notes: list[str] = []

    with pytest.raises(DataError, match="looks like m/s2"):
        read_for_learning(tmp_path, None, notes.append)
    [part] = read_for_replay(tmp_path, None, "*", notes.append)

    assert part.name == "exp01_user01"
    [note] = notes
    assert "looks like m/s2" in note


def test_recordings_are_replayed_by_their_names_and_have_their_labels(tmp_path: Path) -> None:
    for name in ("walking_1", "sitting_1"):
        write_phyphox(tmp_path / "anna" / name)
    layout = shipped("phyphox")

    [part] = read_for_replay(tmp_path, layout, "walk*", lambda _: None)
    segments = read_segments(tmp_path, layout, lambda _: None)

    assert part.name == "walking_1"
    assert np.diff(part.acc.times_us).mean() < 15_000  # at its own rate
    assert {name: [s.activity for s in each] for name, each in segments.items()} == {
        "sitting_1": ["sitting"],
        "walking_1": ["walking"],
    }
    with pytest.raises(DataError, match=r"no recording in .* matches 'run\*'"):
        read_for_replay(tmp_path, layout, "run*", lambda _: None)


def test_a_recording_without_rotation_is_learned_from_only_where_no_feature_needs_it(
    tmp_path: Path, gaps: FileLayout
) -> None:
    times, acc, _ = walk(12, 50)
    columns = [times, *acc.T, np.full(len(times), "WALKING")]
    write_rows(tmp_path / "data" / "anna.csv", "t,x,y,z,label", columns)
    notes: list[str] = []

    with pytest.raises(DataError, match="no labelled recording"):
        read_for_learning(tmp_path / "data", gaps, notes.append)
    [note] = notes
    assert "anna has no rotation; it is left out" in note
    [part] = read_for_learning(tmp_path / "data", gaps, notes.append, needs_gyroscope=False)
    assert part.device_id == "anna"
