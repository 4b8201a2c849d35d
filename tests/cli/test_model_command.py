from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from streamer.cli import main
from streamer.datasets.class_names import label_of_activity, order_classes
from streamer.datasets.conversion import convert
from streamer.datasets.feature_table import FeatureTable, read_table
from streamer.datasets.labelled_windows import UNLABELLED
from streamer.datasets.public_recordings import read_labelled_recordings
from streamer.model import artifact
from streamer.training.train import train
from tests.support.foreign_files import write_rows
from tests.support.recordings import windows_of


def streamer_model(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["model", *map(str, arguments)])


def test_a_trained_model_can_be_shown(raw_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    output = tmp_path / "mine.npz"

    done = streamer_model("train", raw_dir, "--output", output, "--id", "mine", "--users", "1,3")
    shown = streamer_model("show", output)

    assert done.exit_code == 0
    version = artifact.load(output).version
    assert done.output.endswith(f"{output}: mine {version}\n")
    rows = dict(line.split(maxsplit=1) for line in shown.output.splitlines() if line[0] != " ")
    assert rows["model"].strip() == "mine"
    assert rows["version"].strip() == version
    assert rows["users"].strip() == "1, 3"


def test_the_shipped_model_is_shown_by_default() -> None:
    done = streamer_model("show")

    assert done.exit_code == 0
    assert artifact.load().version in done.output


def test_a_file_that_is_not_a_model_is_an_error_without_traceback(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_text("hello")

    done = streamer_model("show", path)

    assert (done.exit_code, "not an intact .npz file" in done.output) == (1, True)


def test_an_unknown_user_is_an_error_without_traceback(raw_dir: Path, tmp_path: Path) -> None:
    done = streamer_model("train", raw_dir, "--output", tmp_path / "m.npz", "--users", "anna")

    assert (done.exit_code, "there is no user anna; there are 1, 2, 3" in done.output) == (1, True)
    assert not (tmp_path / "m.npz").exists()


@pytest.fixture(scope="module")
def mine(raw_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sklearn")
    path = tmp_path_factory.mktemp("models") / "mine.npz"
    artifact.save(path, train(windows_of(raw_dir, "1", "2"), "mine", "lda"))
    return path


def test_evaluate_judges_a_model_and_names_the_users_it_has_learned_from(
    raw_dir: Path, mine: Path
) -> None:
    done = streamer_model("evaluate", raw_dir, "--model", mine)

    assert done.exit_code == 0, done.output
    for figure in ("of one window", "smoothed", "calibration error", "transition AUROC"):
        assert figure in done.stdout
    assert "the model has learned from these users: 1, 2" in done.stderr


def test_an_algorithm_is_cross_validated_and_reported_as_a_page(
    raw_dir: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "report.html"

    done = streamer_model("evaluate", raw_dir, "--cross-validate", "--json", "--report", page)

    found = msgspec.json.decode(done.stdout)
    assert found["macro_f1"] > 0.9
    assert found["smoothed_macro_f1"] > 0.9
    assert found["movement_auroc"] > 0.9
    assert found["places"] == {}
    assert set(found["people"]) == {"1", "2", "3"}
    text = page.read_text()
    assert f"of {found['unjudged']['windows']} windows" in text.lower()
    assert f"{found['macro_f1']:.4f}" in text
    # Each picture is there twice, for wide screens and for phones.
    assert text.count("<svg") == 8
    assert "mathdefault" not in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_models_and_algorithms_are_compared(raw_dir: Path, mine: Path) -> None:
    done = streamer_model("compare", raw_dir, "lda", mine, "--json", "--users", "1,2,3")
    shown = streamer_model("compare", raw_dir, mine, mine)

    found = msgspec.json.decode(done.stdout)
    assert list(found) == ["lda", str(mine)]
    assert found["lda"]["difference"] == {"mean": 0, "error": 0, "better": 0, "worse": 0}
    assert found[str(mine)]["macro_f1"] > 0.9
    assert "+0.000±0.000 0:0" in shown.output
    assert "between activities or without a label do not count" in shown.output.replace("\n", " ")


def test_training_accepts_a_table_of_features(raw_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    windows = windows_of(raw_dir)
    windows = windows.of((windows.copies == 0) & (windows.truths != UNLABELLED))
    activities = order_classes(windows.truths.tolist())
    labels = [label_of_activity(truth) for truth in windows.truths.tolist()]
    table = FeatureTable(windows.features, labels, windows.subjects.astype(int))
    convert(table, tmp_path, with_subject=True)
    output = tmp_path / "mine.npz"

    done = streamer_model("train", tmp_path / "data.csv", "--output", output)

    assert done.exit_code == 0, done.output
    card = artifact.load(output).card
    assert card.activities == activities
    assert card.training.subjects == ("1", "2", "3")
    assert card.training.judged.smoothed_macro_f1 is None


def test_devices_at_several_places_are_judged_apart_and_a_source_can_be_left_out(
    raw_dir: Path,
) -> None:
    pytest.importorskip("sklearn")
    sources = ("--source", f"waist={raw_dir}", "--source", f"pocket={raw_dir},name=trousers")

    done = streamer_model("evaluate", *sources, "--cross-validate", "--algorithm", "tree", "--json")

    found = msgspec.json.decode(done.stdout)
    assert set(found["places"]) == {"waist", "pocket"}
    assert found["places"]["pocket"]["macro_f1"] > 0.8
    parts = {(part["source"], part["place"]): part for part in found["parts"]}
    assert set(parts) == {("waist", "waist"), ("trousers", "pocket")}
    assert parts["trousers", "pocket"]["macro_f1"] == found["places"]["pocket"]["macro_f1"]
    assert found["unjudged"]["judged"] == sum(part["judged"] for part in parts.values())
    theirs = {f"trousers/{user}" for user in (1, 2, 3)}
    assert set(found["people"]) == theirs | {f"waist/{user}" for user in (1, 2, 3)}

    done = streamer_model(
        "evaluate", *sources, "--cross-validate", "--leave-out", "trousers", "--json"
    )
    assert set(msgspec.json.decode(done.stdout)["people"]) == theirs


def test_users_without_a_source_may_be_those_that_the_model_has_learned_from(
    raw_dir: Path,
) -> None:
    done = streamer_model("evaluate", raw_dir)
    assert "the model has learned from users of hapt, motionsense" in done.stderr
    done = streamer_model("evaluate", "--source", f"waist={raw_dir},name=hapt")
    assert "the model has learned from these users: hapt/1, hapt/3" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the recordings"),
        (["--source", "waist"], "is not PLACE=FOLDER"),
        (["--source", "waist=nowhere"], "nowhere does not exist"),
        (["--source", "waist=.", "--source", "waist=."], "two sources have the same name"),
    ],
)
def test_invalid_sources_are_refused(arguments: list[str], message: str) -> None:
    done = streamer_model("evaluate", *arguments)
    assert done.exit_code == 2
    assert message in done.output


OWN = """
[files]
name = '(?P<subject>user[0-9])[.]csv$'
[files.time]
rate_hz = 50
[files.acc]
fields = ["acc x", "acc/y", "z"]
unit = "UNIT"
[files.gyro]
fields = ["gyro_x", "gyro_y", "gyro_z"]
unit = "rad/s"
[files.label]
field = "what"
"""


@pytest.fixture(scope="module")
def own(raw_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recordings as CSV files with columns of other names; acceleration in m/s2."""
    folder = tmp_path_factory.mktemp("own")
    for recording in read_labelled_recordings(raw_dir):
        labels = np.full(len(recording.acc_gyro), "", dtype="<U20")
        for segment in recording.segments:
            labels[segment.start0 : segment.end0] = f"my {segment.activity}"
        samples = recording.acc_gyro * ([9.80665] * 3 + [1] * 3)
        header = "acc x,acc/y,z,gyro_x,gyro_y,gyro_z,what"
        write_rows(folder / f"user{recording.subject}.csv", header, [*samples.T, labels])
    (folder / "mine.toml").write_text(OWN.replace("UNIT", "m/s2"))
    (folder / "wrong.toml").write_text(OWN.replace("UNIT", "g"))
    nobody = OWN.replace("UNIT", "m/s2").replace("(?P<subject>user[0-9])", "user[0-9]")
    (folder / "nobody.toml").write_text(nobody)
    return folder


def test_training_and_evaluation_accept_recordings_of_other_devices(
    own: Path, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    output, profile = tmp_path / "mine.npz", ("--profile", own / "mine.toml")

    done = streamer_model("train", own, "--output", output, *profile, "--algorithm", "lda")
    judged = streamer_model("evaluate", own, "--model", output, *profile)

    assert done.exit_code == 0, done.output
    card = artifact.load(output).card
    assert card.training.subjects == ("user1", "user2", "user3")
    assert "my_walking" in card.activities
    assert judged.exit_code == 0, judged.output
    assert "the model has learned from these users: user1, user2, user3" in judged.stderr


@pytest.mark.parametrize(
    ("profile", "complaint"),
    [
        ("wrong.toml", "acceleration of user1 looks like m/s2 (9."),
        ("nobody.toml", "nobody knows whose recordings are in"),
        ("absent.toml", "absent.toml cannot be read"),
    ],
)
def test_unusable_training_data_are_an_error_without_traceback(
    own: Path, tmp_path: Path, profile: str, complaint: str
) -> None:
    done = streamer_model("train", own, "--output", tmp_path / "m.npz", "--profile", own / profile)

    assert (done.exit_code, complaint in done.output) == (1, True), done.output
    assert not (tmp_path / "m.npz").exists()


def test_statistics_and_conversion_accept_recordings_of_other_devices(
    own: Path, tmp_path: Path
) -> None:
    arguments = [str(own), "--profile", str(own / "mine.toml")]
    shown = CliRunner().invoke(main, ["dataset", "statistics", *arguments])
    done = CliRunner().invoke(
        main,
        ["dataset", "convert", *arguments, "--output", str(tmp_path / "out"), "--with-subject"],
    )

    assert shown.exit_code == 0, shown.output
    assert "MY_WALKING" in shown.output
    assert "3 people" in shown.output
    assert done.exit_code == 0, done.output
    subjects = read_table(tmp_path / "out" / "data.csv").subjects
    assert subjects is not None
    assert set(subjects.tolist()) == {1, 2, 3}
