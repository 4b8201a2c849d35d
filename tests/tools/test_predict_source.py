"""`streamer predict`: the same labels as a worker's, in files that are complete or absent."""

import csv
import json
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from streamer.arrays import Floats
from streamer.cli import main
from streamer.datasets import prediction_files, window_chunks
from streamer.datasets.conversion import convert
from streamer.datasets.feature_table import VARIABLES, InvalidRecords, read_table
from streamer.datasets.window_chunks import read_window_chunks
from streamer.errors import DataError
from streamer.features import GRAVITY_FRAME, UCI_HAR
from streamer.model import artifact
from streamer.predict.answers import Answers, Ask, make_ask
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.predictor import Prediction
from streamer.settings import Settings
from tests.support.s3_server import BUCKET, S3Server
from tests.support.tables import table_of, write_published


def run(source: Path, output: Path | str, *flags: str) -> Result:
    return CliRunner().invoke(main, ["predict", str(source), "--output", str(output), *flags])


def rows_of(folder: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for file in sorted(folder.glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as lines:
            found += csv.DictReader(lines)
    return found


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "table"
    folder.mkdir()
    convert(table_of(25), folder, records_per_file=10, with_subject=True)
    return folder


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Two recordings of a device that turns about, without labels."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    rng = np.random.default_rng(4)
    for number, length in ((1, 128 + 64 * 20 + 3), (2, 128 + 64 * 9 + 2)):
        seconds = np.arange(length)[:, None] / 50
        acc = np.sin(seconds * [5.0, 6.0, 7.0]) * 0.4 + [1, 0, 0] + rng.normal(0, 0.1, (length, 3))
        gyro = np.cos(seconds * [3.0, 2.0, 5.0]) + rng.normal(0, 0.1, (length, 3))
        np.savetxt(folder / f"acc_exp0{number}_user01.txt", acc, "%.6f")
        np.savetxt(folder / f"gyro_exp0{number}_user01.txt", gyro, "%.6f")
    return folder


def test_a_table_is_labelled_record_by_record(table: Path, tmp_path: Path) -> None:
    done = run(table, tmp_path / "out", "--format", "csv", "--model", "waist")

    assert done.exit_code == 0, done.output
    assert "25 windows in 1 files" in done.output
    rows, read = rows_of(tmp_path / "out"), read_table(table)
    model = artifact.load(artifact.WAIST_MODEL)
    scores = model.probabilities(read.features)
    best = [model.signature.labels[i] for i in scores.argmax(axis=1).tolist()]
    assert [row["label"] for row in rows] == best
    assert [row["truth"] for row in rows] == read.labels
    assert read.subjects is not None
    assert [int(row["subject"]) for row in rows] == read.subjects.tolist()
    assert [row["source"].rsplit("/", 1)[1] for row in rows[:2]] == [
        "data-00001.csv, line 2",
        "data-00001.csv, line 3",
    ]
    features = np.array([[float(row[name]) for name in VARIABLES] for row in rows])
    assert features.tobytes() == read.features.tobytes()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["windows"] == sum(summary["activities"].values()) == 25
    assert summary["feature_set"]["name"] == UCI_HAR.name


def test_the_published_data_set_gives_the_same_labels_as_its_conversion(
    table: Path, tmp_path: Path
) -> None:
    published = write_published(tmp_path / "published", table_of(25), split=15)
    for source, output in ((table, "a"), (published, "b")):
        assert run(source, tmp_path / output, "--format", "csv", "--model", "waist").exit_code == 0
    labels = [[row["scores"] for row in rows_of(tmp_path / each)] for each in ("a", "b")]
    assert labels[0] == labels[1]


def test_parquet_holds_what_csv_holds(recordings: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert run(recordings, tmp_path / "csv", "--format", "csv").exit_code == 0
    assert run(recordings, tmp_path / "parquet").exit_code == 0

    found: list[dict[str, Any]] = parquet.read_table(
        tmp_path / "parquet" / "part-00001.parquet"
    ).to_pylist()
    rows = rows_of(tmp_path / "csv")
    assert len(found) == len(rows) == 31
    for there, here in zip(found, rows, strict=True):
        assert dict(there.pop("scores")) == json.loads(here.pop("scores"))
        assert {name: "" if v is None else str(v) for name, v in there.items()} == here


def test_windows_of_a_recording_are_labelled_alike_whatever_the_size_of_chunks_and_files(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier windows of a recording count for its labels, and those of another one do not."""
    assert run(recordings, tmp_path / "whole", "--format", "csv").exit_code == 0
    monkeypatch.setattr(window_chunks, "CHUNK_WINDOWS", 7)
    monkeypatch.setattr(prediction_files, "FILE_ROWS", 10)
    done = run(recordings, tmp_path / "parts", "--format", "csv")

    assert "31 windows in 4 files" in done.output
    whole = rows_of(tmp_path / "whole")
    assert rows_of(tmp_path / "parts") == whole
    starts = [(row["source"], float(row["start_s"])) for row in whole]
    assert starts == [("exp01_user01", i * 1.28) for i in range(21)] + [
        ("exp02_user01", i * 1.28) for i in range(10)
    ]


def test_a_source_is_read_as_it_is_needed(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_chunks, "CHUNK_WINDOWS", 6)
    (table / "data-00002.csv").write_text("nonsense\n" * 3)
    chunks = read_window_chunks(table, None, UCI_HAR, InvalidRecords(0))

    first = next(chunks)
    assert len(first.windows) == 6
    assert 0 < first.share < 1
    with pytest.raises(DataError, match=r"data-00002.csv, line 1"):
        next(chunks)


def test_a_table_needs_a_model_of_the_published_features(table: Path, tmp_path: Path) -> None:
    done = run(table, tmp_path / "out", "--format", "csv")

    assert done.exit_code == 1
    assert GRAVITY_FRAME.name in done.output
    assert "choose the model `waist`" in done.output
    assert {path.name for path in tmp_path.iterdir()} == {"table"}


@pytest.mark.parametrize("name", ["empty", "other.zip"])
def test_a_source_with_nothing_to_predict_is_an_error_with_any_model(
    tmp_path: Path, name: str
) -> None:
    source = tmp_path / name
    if name == "empty":
        source.mkdir()
    else:
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("a.txt", "no data")

    done = run(source, tmp_path / "out", "--format", "csv")

    assert done.exit_code == 1
    assert "has nothing to predict" in done.output


def test_a_recording_in_other_units_gets_no_labels(recordings: Path, tmp_path: Path) -> None:
    file = recordings / "acc_exp02_user01.txt"
    np.savetxt(file, np.loadtxt(file) * 9.81, "%.6f")

    done = run(recordings, tmp_path / "out", "--format", "csv")

    assert done.exit_code == 1
    assert "exp02_user01 looks like m/s2" in done.output
    assert not (tmp_path / "out").exists()


class Interrupted:
    """A predictor during which somebody presses Ctrl-C, after one chunk."""

    name = "interrupted"

    def __init__(self, settings: Settings) -> None:
        self._model = artifact.load(artifact.WAIST_MODEL)
        self._calls = 0

    async def predict(self, features: Floats) -> Prediction:
        self._calls += 1
        if self._calls == 2:
            raise KeyboardInterrupt
        return Prediction(self._model.probabilities(features), self._model.signature)


def test_an_interrupt_leaves_nothing(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_chunks, "CHUNK_WINDOWS", 10)
    predictor = f"{__name__}:Interrupted"
    done = run(table, tmp_path / "out", "--format", "csv", "--predictor", predictor)

    assert done.exit_code == 130
    assert {path.name for path in tmp_path.iterdir()} == {"table"}


def test_a_window_that_an_endpoint_refuses_is_named_and_the_others_are_labelled(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = make_ask(LocalPredictor(artifact.load(artifact.WAIST_MODEL)))

    async def refuse_one(features: Floats) -> Answers:
        parts = await ask(features[:3]), Answers(1, refused={0: "no"}), await ask(features[4:])
        return Answers.concatenate(parts)

    @asynccontextmanager
    async def open_refusing(*_: Any) -> AsyncIterator[Ask]:
        yield refuse_one

    monkeypatch.setattr("streamer.tools.predict_source.open_predictor", open_refusing)
    done = run(table, tmp_path / "out", "--format", "csv", "--model", "waist")

    assert "the endpoint refused 1 windows" in done.output
    rows = rows_of(tmp_path / "out")
    assert [i for i, row in enumerate(rows) if row["reason"] == "refused"] == [3]
    assert [i for i, row in enumerate(rows) if not row["label"]] == [3]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server().running() as server:
        for name, value in {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": "some",
            "AWS_SECRET_ACCESS_KEY": "thing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        server.empty()
        yield server


def test_in_s3_the_summary_comes_last(table: Path, s3: S3Server) -> None:
    uploaded: list[str] = []

    def remember(key: str) -> bool:
        uploaded.append(key)
        return True

    s3.on_upload = remember
    done = run(table, f"s3://{BUCKET}/some/folder", "--format", "csv", "--model", "waist")

    assert done.exit_code == 0, done.output
    assert uploaded == ["some/folder/part-00001.csv", "some/folder/summary.json"]
