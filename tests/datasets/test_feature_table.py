from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streamer.datasets.conversion import convert
from streamer.datasets.feature_table import (
    LABEL,
    SUBJECT,
    VARIABLES,
    FeatureTable,
    InvalidRecords,
    read_table,
)
from streamer.errors import DataError
from streamer.features import NAMES
from tests.support.tables import table_of

HEADER = ",".join((LABEL, *VARIABLES))


def line(label: str = "1", **changed: str) -> str:
    return ",".join([label, *(changed.get(name, "0.5") for name in VARIABLES)])


def csv(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "some.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@st.composite
def tables(draw: st.DrawFn) -> FeatureTable:
    n = draw(st.integers(1, 7))
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    features = draw(arrays(np.float64, (n, len(NAMES)), elements=numbers, fill=numbers))
    labels = draw(st.lists(st.sampled_from(["1", "12", "rowing"]), min_size=n, max_size=n))
    subjects = draw(st.none() | arrays(np.int64, n, elements=st.integers(0, 2**50)))
    return FeatureTable(features, labels, subjects)


@given(tables(), st.none() | st.integers(1, 3))
def test_a_converted_table_reads_back_as_the_same_numbers(
    tmp_path_factory: pytest.TempPathFactory, table: FeatureTable, records_per_file: int | None
) -> None:
    folder = tmp_path_factory.mktemp("converted")
    convert(table, folder, records_per_file, with_subject=table.subjects is not None)
    found = read_table(folder)
    assert found.features.tobytes() == table.features.tobytes()
    assert found.labels == table.labels
    if table.subjects is None:
        assert found.subjects is None
    else:
        assert found.subjects is not None
        assert found.subjects.tolist() == table.subjects.tolist()


def test_a_file_without_the_header_is_read_too(tmp_path: Path) -> None:
    bare = read_table(csv(tmp_path, line("1"), line("2")))
    assert (bare.labels, bare.subjects) == (["1", "2"], None)
    owned = read_table(csv(tmp_path, line("1") + ",7", line("2") + ",8"))
    assert owned.subjects is not None
    assert (owned.labels, owned.subjects.tolist()) == (["1", "2"], [7, 8])


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line()[:-4], "560 features, 561 are expected"),
        (line() + ",1", "562 features, 561 are expected"),
        ("", "0 features, 561 are expected"),
        (line(Var002="x"), "Var002 is not a finite number: 'x'"),
        (line(Var002="inf"), "Var002 is not a finite number: 'inf'"),
        (line(Var561=""), "Var561 is missing"),
        (line(Var003="NaN"), "Var003 is missing"),
        (line(" "), "the label is missing"),
        (line(Var001="\x00\ufffd"), "Var001 is not a finite number"),
    ],
)
def test_an_invalid_record_is_left_out_and_reported_with_its_line(
    tmp_path: Path, bad: str, reason: str
) -> None:
    reports: list[str] = []
    invalid = InvalidRecords(report=reports.append)
    path = csv(tmp_path, HEADER, line("1"), bad, line("2"))
    assert read_table(path, invalid).labels == ["1", "2"]
    assert invalid.count == len(reports) == 1
    assert reports[0].startswith(f"{path}, line 3: {reason}")


def test_a_subject_that_is_not_a_number_makes_a_record_invalid(tmp_path: Path) -> None:
    path = csv(tmp_path, f"{HEADER},{SUBJECT}", f"{line()},me", f"{line()},4")
    invalid = InvalidRecords()
    subjects = read_table(path, invalid).subjects
    assert subjects is not None
    assert (subjects.tolist(), invalid.count) == ([4], 1)


@pytest.mark.parametrize("most", [0, 1, 3])
def test_reading_stops_at_one_invalid_record_too_many(tmp_path: Path, most: int) -> None:
    bad = [line(Var001="?")] * most
    assert len(read_table(csv(tmp_path, line(), *bad), InvalidRecords(most))) == 1
    path = csv(tmp_path, line(), *bad, line(Var007="x"))
    with pytest.raises(DataError, match=rf"more than {most} .* line {most + 2}: Var007 is no"):
        read_table(path, InvalidRecords(most))


def test_the_error_of_an_incomplete_record_names_missing_values_and_those_that_are_not_numbers(
    tmp_path: Path,
) -> None:
    path = csv(tmp_path, line(Var001="", Var002="x", Var003="-inf"), line())
    table = read_table(path, InvalidRecords(0), incomplete=True)
    assert np.isnan(table.features[0, 0])
    assert np.isinf(table.features[0, 1:3]).all()
    assert np.isfinite(table.features[0, 3:]).all()


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([HEADER], "has no valid records"),
        ([], "has no valid records"),
        ([HEADER.replace("Var002", "Var003")], r"line 1: the columns must be label,Var001,"),
    ],
)
def test_a_file_that_is_not_a_table_is_a_clear_error(
    tmp_path: Path, lines: list[str], complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        read_table(csv(tmp_path, *lines))


def test_pieces_with_and_without_subjects_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{line()},4\n")
    (tmp_path / "b.csv").write_text(f"{line()}\n")
    with pytest.raises(DataError, match="convert the files again"):
        read_table(tmp_path)


def test_a_folder_without_csv_and_a_file_that_is_not_there_are_clear_errors(
    tmp_path: Path,
) -> None:
    with pytest.raises(DataError, match=r"has no \.csv files"):
        read_table(tmp_path)
    with pytest.raises(DataError, match=r"nowhere\.csv cannot be read"):
        read_table(tmp_path / "nowhere.csv")


def test_every_record_is_reported_as_read(tmp_path: Path) -> None:
    convert(table_of(5), tmp_path, 2)
    read: list[int] = []
    read_table(tmp_path, report=read.append)
    assert sum(read) == 5
