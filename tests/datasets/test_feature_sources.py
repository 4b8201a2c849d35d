import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from streamer.datasets.conversion import convert
from streamer.datasets.feature_sources import read_feature_table
from streamer.datasets.feature_table import FeatureTable, InvalidRecords
from streamer.datasets.labelled_windows import cut_recordings
from streamer.datasets.public_recordings import read_labelled_recordings
from streamer.errors import DataError
from streamer.features.window_shape import WINDOW
from tests.support.recordings import write_raw_dir
from tests.support.tables import ACTIVITIES, table_of, write_published, zipped

FOLDER = "UCI HAR Dataset"


@pytest.fixture
def table() -> FeatureTable:
    return table_of(20)


@pytest.fixture
def published(table: FeatureTable, tmp_path: Path) -> Path:
    return write_published(tmp_path / FOLDER, table, split=12)


def same(found: FeatureTable, expected: FeatureTable) -> bool:
    assert found.subjects is not None
    assert expected.subjects is not None
    return (
        found.features.tobytes() == expected.features.tobytes()
        and found.labels == expected.labels
        and found.subjects.tolist() == expected.subjects.tolist()
        and found.names == expected.names
    )


def test_the_published_set_is_read_from_its_folder_and_the_one_above(
    published: Path, table: FeatureTable
) -> None:
    assert same(read_feature_table(published, InvalidRecords(0)), table)
    assert same(read_feature_table(published.parent, InvalidRecords(0)), table)


def test_the_published_set_is_read_from_its_zip_and_from_a_zip_within_a_zip(
    published: Path, table: FeatureTable, tmp_path: Path
) -> None:
    inner = zipped(published, tmp_path / f"{FOLDER}.zip")
    assert same(read_feature_table(inner, InvalidRecords(0)), table)
    with zipfile.ZipFile(tmp_path / "download.zip", "w") as outer:
        outer.writestr("names.txt", "about the data")
        outer.write(inner, inner.name)
    assert same(read_feature_table(tmp_path / "download.zip", InvalidRecords(0)), table)


def test_a_data_set_with_one_split_can_be_read(published: Path) -> None:
    for file in (published / "test").iterdir():
        file.unlink()
    (published / "test").rmdir()
    assert len(read_feature_table(published, InvalidRecords(0))) == 12


@pytest.mark.parametrize("inside_zip", [False, True])
@pytest.mark.parametrize(
    ("file", "line", "text", "reason"),
    [
        ("train/X_train.txt", 3, "1 2 3", "3 features, 561 are expected"),
        ("test/X_test.txt", 2, "  0.5" * 560 + " x1", "Var561 is not a finite number: 'x1'"),
        ("train/y_train.txt", 12, "one", "unknown activity 'one'"),
        ("test/y_test.txt", 1, "9", "unknown activity '9'"),
        ("train/subject_train.txt", 5, "?", "the subject '?' is not a whole number"),
    ],
)
def test_an_invalid_record_is_left_out_and_reported_with_its_file_and_line(
    published: Path, tmp_path: Path, file: str, line: int, text: str, reason: str, inside_zip: bool
) -> None:
    lines = (published / file).read_text().splitlines()
    lines[line - 1] = text
    (published / file).write_text("\n".join(lines) + "\n")
    source = zipped(published, tmp_path / "a.zip") if inside_zip else published
    reports: list[str] = []
    assert len(read_feature_table(source, InvalidRecords(report=reports.append))) == 19
    [report] = reports
    # A subject is reported where its window is.
    assert f"{file.replace('subject_', 'X_')}, line {line}: {reason}" in report
    assert str(source) in report


@pytest.mark.parametrize("kind", ["X", "y", "subject"])
@pytest.mark.parametrize("change", [-1, 1])
def test_files_of_unequal_length_are_an_error_with_file_and_line(
    published: Path, kind: str, change: int
) -> None:
    path = published / "train" / f"{kind}_train.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1] if change < 0 else [*lines, lines[-1]]) + "\n")
    with pytest.raises(DataError) as error:
        read_feature_table(published, InvalidRecords())
    ends, goes_on = (11, 12) if change < 0 else (12, 13)
    assert f"ends after line {ends}" in str(error.value)
    assert f"has a line {goes_on}" in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_and_broken_activity_names_are_clear_errors(published: Path) -> None:
    (published / "activity_labels.txt").write_text("1 WALKING\nLAYING\n")
    with pytest.raises(DataError, match=r"activity_labels\.txt, line 2: expected a number and"):
        read_feature_table(published, InvalidRecords())
    (published / "activity_labels.txt").unlink()
    assert read_feature_table(published, InvalidRecords(0)).names == {}
    (published / "test" / "y_test.txt").unlink()
    with pytest.raises(DataError, match=r"y_test\.txt is missing"):
        read_feature_table(published, InvalidRecords())


def test_a_broken_zip_is_a_clear_error(published: Path, tmp_path: Path) -> None:
    whole = zipped(published, tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.zip is not an intact zip"):
        read_feature_table(tmp_path / "a.zip", InvalidRecords())
    middle = len(whole) // 3
    (tmp_path / "a.zip").write_bytes(whole[:middle] + b"\0" * 4000 + whole[middle + 4000 :])
    with pytest.raises(DataError, match=r"X_train\.txt cannot be read"):
        read_feature_table(tmp_path / "a.zip", InvalidRecords())


def test_an_unknown_source_is_an_error_that_names_the_accepted_ones(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("some.txt", "text")
    for source in (tmp_path, tmp_path / "a.zip"):
        with pytest.raises(
            DataError, match=re.escape(f"{source} is not a data set: expected train/")
        ):
            read_feature_table(source, InvalidRecords())


def test_converted_files_are_a_source_too(table: FeatureTable, tmp_path: Path) -> None:
    convert(table, tmp_path, 7, with_subject=True)
    found = read_feature_table(tmp_path, InvalidRecords(0))
    assert found.features.tobytes() == table.features.tobytes()


def test_recordings_give_the_windows_that_training_learns_from(tmp_path: Path) -> None:
    raw_dir = write_raw_dir(tmp_path, users=2)
    found = read_feature_table(raw_dir, InvalidRecords(0))
    learned = cut_recordings(read_labelled_recordings(raw_dir))
    own = np.array([truth.isidentifier() for truth in learned.truths.tolist()])
    assert found.features.tobytes() == learned.features[own].tobytes()
    assert found.subjects is not None
    assert found.subjects.astype(str).tolist() == learned.subjects[own].tolist()
    assert found.names["1"] == ACTIVITIES["1"]
    assert set(found.labels) == {str(number) for number in range(1, 7)}


def test_real_recordings_become_windows_of_all_labels_and_people(
    har_dir: Path, tmp_path: Path
) -> None:
    recordings = sorted((har_dir / "RawData").glob("acc_*.txt"))[1:4]
    for path in recordings:
        for sensor in ("acc", "gyro"):
            name = path.name.replace("acc", sensor)
            (tmp_path / name).symlink_to(path.with_name(name))
    labels = np.loadtxt(har_dir / "RawData" / "labels.txt", dtype=int)
    experiments = [int(path.name[7:9]) for path in recordings]
    np.savetxt(tmp_path / "labels.txt", labels[np.isin(labels[:, 0], experiments)], "%d")
    found = read_feature_table(tmp_path, InvalidRecords(0))
    assert found.subjects is not None
    segments = labels[np.isin(labels[:, 0], experiments)]
    segments = segments[np.isin(segments[:, 2].astype(str), list(found.names))]
    assert set(found.labels) == set(segments[:, 2].astype(str))
    assert set(found.subjects) == set(segments[:, 1])
    # A window for each hop of a segment, but for those that touch its ends.
    hops = (segments[:, 4] - segments[:, 3] + 1) / WINDOW.hop
    assert hops.sum() - 3 * len(segments) < len(found) < hops.sum()
    # The published scale.
    assert np.abs(found.features).mean() < 1
