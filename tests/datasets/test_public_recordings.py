from pathlib import Path

import pytest

from streamer.datasets.public_recordings import read_labels
from streamer.datasets.recording import Segment
from streamer.errors import DataError


def test_numbers_of_activities_have_the_names_that_a_file_gives_them(tmp_path: Path) -> None:
    raw_dir = tmp_path / "RawData"
    raw_dir.mkdir()
    (raw_dir / "labels.txt").write_text("1 1 1 1 200\n1 1 7 201 300\n2 9 13 5 9\n")
    (tmp_path / "activity_labels.txt").write_text("1 ROWING\n13 Resting well\n")

    assert read_labels(raw_dir / "labels.txt") == {
        "exp01_user01": [Segment("rowing", 0, 200), Segment("standing>sitting", 200, 300)],
        "exp02_user09": [Segment("resting_well", 4, 9)],
    }


@pytest.mark.parametrize("samples", ["0 200", "5 4", "-3 9"])
def test_a_label_without_samples_is_refused(tmp_path: Path, samples: str) -> None:
    (tmp_path / "labels.txt").write_text(f"1 1 1 1 200\n1 1 1 {samples}\n")

    with pytest.raises(DataError, match=r"labels\.txt, line 2: .* counted from 1"):
        read_labels(tmp_path / "labels.txt")


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
