import csv
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from streamer.cli import main
from streamer.datasets.conversion import amazon_ml_schema, convert
from streamer.datasets.feature_table import LABEL, SUBJECT, VARIABLES, FeatureTable, read_table
from streamer.errors import DataError
from streamer.storage.atomic_files import atomic_folder
from tests.support.s3_server import BUCKET, S3Server
from tests.support.tables import ACTIVITIES, table_of, write_published

PIECES = ["data-00001.csv", "data-00002.csv", "data-00003.csv"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_published(tmp_path / "source", table_of(25), split=15)


def run(source: Path, output: Path | str, *flags: str) -> Result:
    return CliRunner().invoke(
        main, ["dataset", "convert", str(source), "--output", str(output), *flags]
    )


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_file_has_the_label_first_and_the_schema_beside_it(
    source: Path, tmp_path: Path
) -> None:
    done = run(source, tmp_path / "out")
    assert done.output.splitlines()[-1].endswith("out: 25 records in 1 files and a schema")
    assert names(tmp_path / "out") == ["data.csv", "data.csv.schema"]
    header, *records = rows(tmp_path / "out" / "data.csv")
    assert header == [LABEL, *VARIABLES]
    table = table_of(25)
    assert [record[0] for record in records] == table.labels
    assert np.array([record[1:] for record in records], float).tobytes() == table.features.tobytes()


@given(n=st.integers(1, 9), size=st.integers(1, 10))
def test_each_file_has_the_given_number_of_records_and_the_last_one_the_rest(
    tmp_path_factory: pytest.TempPathFactory, n: int, size: int
) -> None:
    folder = tmp_path_factory.mktemp("pieces")
    *pieces, schema_file = convert(table_of(n), folder, size)
    counts = [len(rows(piece)) - 1 for piece in pieces]
    assert counts[:-1] == [size] * (len(pieces) - 1)
    assert 1 <= counts[-1] <= size
    assert sum(counts) == n
    assert pieces == sorted(pieces)
    assert schema_file.name == ".schema"


@pytest.mark.parametrize("with_subject", [False, True])
def test_the_schema_names_the_columns_of_the_header_and_their_types(
    tmp_path: Path, with_subject: bool
) -> None:
    data, schema_file = convert(table_of(3), tmp_path, with_subject=with_subject)
    described = json.loads(schema_file.read_text())
    assert described == amazon_ml_schema(with_subject)
    assert [each["fieldName"] for each in described["attributes"]] == rows(data)[0]
    types = {each["fieldName"]: each["fieldType"] for each in described["attributes"]}
    assert {name for name, kind in types.items() if kind == "NUMERIC"} == {*VARIABLES}
    assert types[described["targetFieldName"]] == "CATEGORICAL"
    assert described["excludedVariableNames"] == ([SUBJECT] if with_subject else [])
    assert (described["version"], described["dataFormat"]) == ("1.0", "CSV")
    assert described["dataFileContainsHeader"] is True


def test_labels_are_numbers_or_names_and_subjects_come_last(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "out", "--labels", "names", "--with-subject")
    table = read_table(tmp_path / "out" / "data.csv")
    assert table.labels == [ACTIVITIES[label] for label in table_of(25).labels]
    assert table.subjects is not None
    assert table.subjects.tolist() == [i % 3 + 1 for i in range(25)]


def test_missing_names_and_subjects_are_clear_errors(tmp_path: Path) -> None:
    bare = FeatureTable(table_of(3).features, ["1", "2", "3"], None)
    with pytest.raises(DataError, match="no name for label '1'"):
        convert(bare, tmp_path, labels="names")
    with pytest.raises(DataError, match="does not say whose windows these are"):
        convert(bare, tmp_path, with_subject=True)
    assert names(tmp_path) == []


def test_invalid_records_are_reported_and_left_out_up_to_the_limit(
    source: Path, tmp_path: Path
) -> None:
    path = source / "train" / "X_train.txt"
    path.write_text("what\n" + path.read_text().split("\n", 1)[1])
    done = run(source, tmp_path / "out", "--max-invalid", "1")
    assert f"{path}, line 1: 1 features, 561 are expected" in done.output
    assert "24 records in 1 files and a schema; 1 invalid records left out" in done.output
    done = run(source, tmp_path / "second", "--max-invalid", "0")
    assert (done.exit_code, "more than 0 records are invalid" in done.output) == (1, True)
    assert names(tmp_path) == ["out", "source"]


def test_an_output_that_has_files_already_is_left_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run(source, tmp_path / "empty").exit_code == 0
    before = (tmp_path / "empty" / "data.csv").stat()
    again = run(source, tmp_path / "empty")
    assert (again.exit_code, "not empty; choose another" in again.output) == (1, True)
    assert (tmp_path / "empty" / "data.csv").stat() == before
    elsewhere = run(source, tmp_path / "nowhere" / "out")
    assert "cannot be written: No such file" in elsewhere.output
    assert names(tmp_path) == ["empty", "source"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_folder_that_fails_half_written_is_not_there(
    tmp_path: Path, failure: type[BaseException] | OSError
) -> None:
    def write_half() -> None:
        with atomic_folder(tmp_path / "out") as folder:
            (folder / "half").write_text("written")
            raise failure

    with pytest.raises((KeyboardInterrupt, DataError)):
        write_half()
    assert names(tmp_path) == []


def test_in_s3_are_the_same_files_as_on_disk(source: Path, tmp_path: Path, s3: S3Server) -> None:
    flags = ("--records-per-file", "10")
    run(source, tmp_path / "out", *flags)
    for url in (f"s3://{BUCKET}/some/folder", f"s3://{BUCKET}/other/"):
        done = run(source, url, *flags)
        assert done.output.splitlines()[-1] == f"{url}: 25 records in 3 files and a schema"
    on_disk = {name: (tmp_path / "out" / name).read_bytes() for name in (*PIECES, ".schema")}
    assert s3.objects() == {
        f"{folder}/{name}": content
        for folder in ("some/folder", "other")
        for name, content in on_disk.items()
    }


def test_the_schema_is_uploaded_last(source: Path, s3: S3Server) -> None:
    uploads: list[str] = []

    def see(key: str) -> bool:
        uploads.append(key)
        return True

    s3.on_upload = see
    run(source, f"s3://{BUCKET}/a", "--records-per-file", "10")
    assert uploads == [f"a/{name}" for name in (*PIECES, ".schema")]


@pytest.mark.parametrize("refused", [*PIECES, ".schema"])
def test_an_upload_that_fails_leaves_nothing_in_s3(
    source: Path, s3: S3Server, refused: str
) -> None:
    s3.client().put_object(Bucket=BUCKET, Key="ab/other", Body=b"not ours")
    s3.on_upload = lambda key: not key.endswith(refused)
    done = run(source, f"s3://{BUCKET}/a", "--records-per-file", "10")
    assert done.exit_code == 1
    assert f"s3://{BUCKET}/a/ cannot be written" in done.output
    assert "AccessDenied" in done.output
    assert s3.objects().keys() == {"ab/other"}


@pytest.mark.parametrize(
    ("stop", "sigint"),
    [
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.default_int_handler),
        # As shells start jobs in the background.
        (signal.SIGTERM, signal.SIG_IGN),
    ],
)
def test_an_interrupted_upload_leaves_nothing_in_s3(
    source: Path, s3: S3Server, stop: signal.Signals, sigint: Any
) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold(key: str) -> bool:
        if key.endswith(PIECES[1]):
            arrived.set()
            go_on.wait(60)
        return True

    s3.on_upload = hold
    command = ["dataset", "convert", str(source), "--output", f"s3://{BUCKET}/a"]
    before = signal.signal(signal.SIGINT, sigint)
    with subprocess.Popen(
        [sys.executable, "-m", "streamer", *command, "--records-per-file", "10"]
    ) as process:
        signal.signal(signal.SIGINT, before)
        assert arrived.wait(60)
        assert s3.objects().keys() == {f"a/{PIECES[0]}"}
        process.send_signal(stop)
        go_on.set()
        assert process.wait(60) == 130
    assert s3.objects() == {}


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        (f"s3://{BUCKET}/used", "has files already; choose another folder"),
        ("s3://no-such-bucket/a", "NoSuchBucket"),
        ("s3://", "names no bucket; write s3://bucket/folder"),
        ("s3://B/a", "cannot be written"),
    ],
)
def test_an_unusable_place_in_s3_is_a_clear_error(
    source: Path, s3: S3Server, url: str, complaint: str
) -> None:
    s3.client().put_object(Bucket=BUCKET, Key="used/file", Body=b"not ours")
    done = run(source, url)
    assert (done.exit_code, complaint in done.output) == (1, True), done.output
    assert s3.objects().keys() == {"used/file"}


def test_missing_credentials_are_an_error_that_names_them(
    source: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    done = run(source, f"s3://{BUCKET}/a")
    assert done.exit_code == 1
    assert re.search(r"cannot be written: .*credentials", done.output)
