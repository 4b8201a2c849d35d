import os
from pathlib import Path

import numpy as np
import pytest

from streamer.errors import DataError
from streamer.features import extract, scale
from streamer.features.filters import condition
from streamer.model import artifact
from streamer.model.evaluation import TRUTHS
from streamer.model.recordings import Recording, Segment, read_labels, read_recordings
from streamer.model.train import cut, train
from streamer.predict.local import LocalPredictor
from tests.model.recordings import write_raw_dir

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def raw_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw_dir(tmp_path_factory.mktemp("RawData"))


def recording(samples: int) -> Recording:
    return Recording(1, 1, np.random.default_rng(5).normal(size=(samples, 6)))


# samples   0          128         256         384         512
#           |  walking  |     (none)     |      sitting      |
# windows   [0,128) [64,192) [128,256) [192,320) [256,384) [320,448)
def test_windows_are_cut_every_hop_and_kept_within_a_segment() -> None:
    segments = [Segment(1, 1, 1, start0=0, end0=128), Segment(1, 1, 4, start0=250, end0=512)]

    windows = cut(recording(520), segments, offsets=[0])

    assert [TRUTHS[i] for i in windows.classes] == ["walking", "sitting", "sitting", "sitting"]


def test_windows_need_the_two_samples_after_them() -> None:
    segments = [Segment(1, 1, 1, start0=0, end0=130)]

    assert len(cut(recording(129), segments, offsets=[0])) == 0
    assert len(cut(recording(130), segments, offsets=[0])) == 1
    assert len(cut(recording(130), segments, offsets=[1])) == 0


def test_transitions_are_not_learned() -> None:
    assert len(cut(recording(500), [Segment(1, 1, 7, start0=0, end0=500)], offsets=[0])) == 0


def test_features_are_those_of_the_recording_filtered_at_rest_as_a_whole() -> None:
    whole = recording(400)
    signals = condition(whole.acc_gyro.T, start="rest")

    windows = cut(whole, [Segment(1, 1, 1, start0=100, end0=300)], offsets=[37])

    expected = [scale(extract(signals[None, :, start : start + 129]))[0] for start in (101, 165)]
    np.testing.assert_array_equal(windows.features, expected)


async def test_what_is_learned_recognizes_people_left_out(raw_dir: Path) -> None:
    model = train(raw_dir, "invented", exclude_users=[3])
    *_, left_out = read_recordings(raw_dir)
    segments = [s for s in read_labels(raw_dir / "labels.txt") if s.user == 3]
    windows = cut(left_out, segments, offsets=[20])

    scores = (await LocalPredictor(model).predict(windows.features)).scores

    assert (scores.argmax(axis=1) == windows.classes).mean() > 0.95


def test_training_twice_gives_the_same_bytes(raw_dir: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "first.npz", tmp_path / "second.npz"]
    for path in paths:
        artifact.save(path, train(raw_dir, "invented", seed=3))

    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_card_tells_what_was_learned_from(raw_dir: Path) -> None:
    card = train(raw_dir, "invented", users=[1, 3], seed=9).card

    assert card.id == "invented"
    assert card.labels[2] == "WALKING_DOWNSTAIRS"
    assert card.training.subjects == (1, 3)
    assert card.training.seed == 9


def test_progress_is_told(raw_dir: Path) -> None:
    lines: list[str] = []

    model = train(raw_dir, "invented", report=lines.append)

    assert lines[0].startswith("exp01_user01: ")
    assert f"{model.card.training.windows} windows of 3 users" in lines
    assert lines[-1] == f"macro-F1 {model.card.training.macro_f1:.4f} on users left out of training"


def test_a_user_that_is_not_there_is_refused(raw_dir: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.txt has no user 8, 9; it has 1, 2, 3"):
        train(raw_dir, "invented", users=[1, 9], exclude_users=[8])


def test_one_user_is_not_enough(raw_dir: Path) -> None:
    with pytest.raises(DataError, match="takes two users"):
        train(raw_dir, "invented", users=[2])


def test_nobody_is_not_enough(raw_dir: Path) -> None:
    with pytest.raises(DataError, match="no recordings of users to learn from"):
        train(raw_dir, "invented", exclude_users=[1, 2, 3])


def test_an_activity_that_only_one_user_shows_is_refused(tmp_path: Path) -> None:
    raw_dir = write_raw_dir(tmp_path, users=2)
    labels = raw_dir / "labels.txt"
    labels.write_text("".join(labels.read_text().splitlines(keepends=True)[:-1]))

    with pytest.raises(DataError, match="nobody is seen laying"):
        train(raw_dir, "invented")
