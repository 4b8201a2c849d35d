from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from streamer.cli import main
from streamer.datasets.public_recordings import read_recordings
from streamer.features import scale
from streamer.features.filters import condition
from tests.features import reference
from tests.support.recordings import write_raw_dir

HEADER = "row,subject,activity,experiment,start0\n"


@pytest.fixture(scope="module")
def raw_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw_dir(tmp_path_factory.mktemp("RawData"), users=2)


def load(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return dict(file)


def features(raw_dir: Path, rows: str, output: Path, *flags: str) -> Result:
    windows = output.with_suffix(".csv")
    windows.write_text(HEADER + rows)
    arguments = [str(raw_dir), "--windows", str(windows), "--output", str(output), *flags]
    return CliRunner().invoke(main, ["dataset", "features", *arguments])


def test_listed_windows_come_out_in_their_order_with_the_features_of_the_reference(
    raw_dir: Path, tmp_path: Path
) -> None:
    done = features(raw_dir, "7,2,1,2,500\n3,1,1,1,0\n", tmp_path / "out.npz")
    assert done.output.splitlines()[-1] == f"{tmp_path / 'out.npz'}: 2 windows"
    found = load(tmp_path / "out.npz")
    assert found["row"].tolist() == [7, 3]
    recordings = {each.subject: each.acc_gyro.T.copy() for each in read_recordings(raw_dir)}
    for x, user, start in zip(found["X"], ("2", "1"), (500, 0), strict=True):
        window = condition(recordings[user], start="zero")[:, start : start + 129]
        assert np.allclose(x, reference.features(window.tolist()), rtol=1e-9, atol=1e-9)


def test_the_option_scaled_gives_the_published_scale(raw_dir: Path, tmp_path: Path) -> None:
    features(raw_dir, "3,1,1,1,0\n", tmp_path / "plain.npz")
    features(raw_dir, "3,1,1,1,0\n", tmp_path / "scaled.npz", "--scaled")
    plain, scaled = (load(tmp_path / f"{name}.npz")["X"] for name in ("plain", "scaled"))
    assert scaled.tobytes() == scale(plain).tobytes()


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("9,1,1,1,99999\n", "window 9 starts at sample 99999 of exp01_user01, which has"),
        ("9,1,1,1,-1\n", "window 9 starts at sample -1 of exp01_user01"),
        ("9,1,1,8,0\n", "no device id matches 'exp08_user01'"),
        ("9,1,1,1\n", "line 2: expected 5 whole numbers"),
        ("9,1,1,1,0.5\n", "line 2: expected 5 whole numbers"),
    ],
)
def test_a_bad_window_is_a_clear_error_and_leaves_no_file(
    raw_dir: Path, tmp_path: Path, row: str, complaint: str
) -> None:
    done = features(raw_dir, row, tmp_path / "out.npz")
    assert done.exit_code == 1
    assert complaint in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_an_output_that_cannot_be_written_is_a_clear_error(raw_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text(HEADER + "3,1,1,1,0\n")
    output = tmp_path / "nowhere" / "out.npz"
    arguments = [str(raw_dir), "--windows", str(tmp_path / "w.csv"), "--output", str(output)]
    done = CliRunner().invoke(main, ["dataset", "features", *arguments])
    assert (done.exit_code, f"{output} cannot be written" in done.output) == (1, True)


def test_the_published_rows_come_out_to_1e_8(har_dir: Path, tmp_path: Path) -> None:
    if not (har_dir / "published_rows.npz").exists():
        pytest.skip(f"{har_dir} has no table of published rows located in the recordings")
    published = load(har_dir / "published_rows.npz")
    columns = ("row", "subject", "y", "experiment", "start")
    rows = zip(*(published[name].tolist() for name in columns), strict=True)
    listed = "".join(",".join(map(str, row)) + "\n" for row in rows)
    done = features(har_dir / "RawData", listed, tmp_path / "out.npz", "--scaled")
    assert done.exit_code == 0, done.output
    found = load(tmp_path / "out.npz")
    assert found["row"].tolist() == published["row"].tolist()
    assert np.abs(found["X"] - published["X"]).max() < 1e-8
    assert len(found["row"]) >= 989
