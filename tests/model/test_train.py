from pathlib import Path

import numpy as np
import pytest

from streamer.errors import DataError
from streamer.model import artifact
from streamer.model.evaluation import TRUTHS, confusion_matrix, macro_f1
from streamer.model.recordings import read_labels, read_recordings
from streamer.model.train import ALGORITHMS, Algorithm, best_temperature, train
from streamer.model.windows import cut
from streamer.predict.local import LocalPredictor
from tests.model.recordings import write_raw_dir

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def raw_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw_dir(tmp_path_factory.mktemp("RawData"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_what_is_learned_recognizes_people_left_out(
    algorithm: Algorithm, raw_dir: Path
) -> None:
    model = train(raw_dir, "invented", algorithm, exclude_users=[3])
    *_, left_out = read_recordings(raw_dir)
    segments = [s for s in read_labels(raw_dir / "labels.txt") if s.user == 3]
    windows = cut(left_out, segments, offset=20)

    scores = (await LocalPredictor(model).predict(windows.features)).scores

    assert (scores.argmax(axis=1) == windows.classes).mean() > 0.9


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
    assert f"{model.card.training.windows} windows of 3 users, each with 5 varied copies" in lines
    score = (
        f"macro-F1 {model.card.training.macro_f1:.4f} on users left out of training, temperature "
    )
    assert lines[-1].startswith(score)


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


async def test_the_shipped_model_knows_the_people_it_has_learned_from(har_dir: Path) -> None:
    shipped = artifact.load()
    predictor = LocalPredictor(shipped)
    segments = read_labels(har_dir / "RawData" / "labels.txt")
    pairs: list[tuple[int, int]] = []
    for recording in read_recordings(har_dir / "RawData"):
        own = [s for s in segments if s.experiment == recording.experiment]
        windows = cut(recording, own, offset=32)
        scores = (await predictor.predict(windows.features)).scores
        pairs += zip(windows.classes, scores.argmax(axis=1), strict=True)

    matrix = confusion_matrix((TRUTHS[true], TRUTHS[answer]) for true, answer in pairs)
    assert macro_f1(matrix) > 0.97


def test_the_temperature_undoes_what_made_scores_too_sure() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    classes = (probabilities.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    assert best_temperature(logits, classes) == pytest.approx(1, abs=0.05)
    assert best_temperature(5 * logits, classes) == pytest.approx(5, abs=0.25)
