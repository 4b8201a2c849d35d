from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamer.cli import main
from streamer.model import artifact


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


def test_a_file_that_is_no_model_is_an_error_without_traceback(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_text("hello")

    done = streamer_model("show", path)

    assert (done.exit_code, "not an intact .npz file" in done.output) == (1, True)


def test_a_user_who_is_not_there_is_an_error_without_traceback(
    raw_dir: Path, tmp_path: Path
) -> None:
    done = streamer_model("train", raw_dir, "--output", tmp_path / "m.npz", "--users", "anna")

    assert (done.exit_code, "there is no user anna; there are 1, 2, 3" in done.output) == (1, True)
    assert not (tmp_path / "m.npz").exists()
