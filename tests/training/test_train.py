from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamer.datasets.class_names import order_classes
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows, cut_recordings
from streamer.datasets.public_recordings import read_labelled_recordings
from streamer.errors import DataError
from streamer.model import artifact
from streamer.training.classification_scores import ConfusionMatrix
from streamer.training.cross_validation import assign_folds, cross_validate
from streamer.training.linear_classifiers import ALGORITHMS, Algorithm
from streamer.training.train import train
from tests.support.recordings import windows_of, write_raw_dir

pytest.importorskip("sklearn")
pytest.importorskip("lightgbm")

CLASSES = (
    "walking",
    "walking_upstairs",
    "walking_downstairs",
    "sitting",
    "standing",
    "laying",
    "sitting>standing",
)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_trained_model_recognizes_people_left_out(algorithm: Algorithm, raw_dir: Path) -> None:
    model = train(windows_of(raw_dir, "1", "2"), "invented", algorithm)
    left_out = windows_of(raw_dir, "3")
    left_out = left_out.of(left_out.truths != UNLABELLED)

    best = model.probabilities(left_out.features).argmax(axis=1)

    assert model.card.activities == CLASSES
    assert (np.array(CLASSES)[best] == left_out.truths).mean() > 0.9


def test_training_twice_gives_the_same_bytes(raw_dir: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "first.npz", tmp_path / "second.npz"]
    for path in paths:
        artifact.save(path, train(windows_of(raw_dir), "invented", seed=3))

    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_card_describes_the_training_data(raw_dir: Path) -> None:
    windows = windows_of(raw_dir, "1", "3")
    card = train(windows, "invented", seed=9, data="somebody's").card

    assert card.id == "invented"
    assert card.labels[2] == "WALKING_DOWNSTAIRS"
    assert card.labels[6] == "SIT_TO_STAND"
    training = card.training
    assert (training.subjects, training.seed, training.data) == (("1", "3"), 9, "somebody's")
    assert (training.windows, training.copies) == (
        ((windows.copies == 0) & (windows.truths != UNLABELLED)).sum(),
        2,
    )
    assert 0.9 < training.judged.macro_f1 <= 1


def test_the_profile_is_that_of_the_recordings_as_they_are(windows: LabelledWindows) -> None:
    model = train(windows, "invented")
    originals = windows.of(windows.copies == 0)

    shares = (originals.features[:, :, None] <= model.profile.deciles).mean(axis=0)
    np.testing.assert_allclose(shares[7], np.arange(1, 10) / 10, atol=0.01)
    assert sum(model.profile.mix) == pytest.approx(1, abs=1e-4)
    assert sum(model.profile.confidence) == pytest.approx(1, abs=1e-4)
    labelled = originals.of(originals.truths != UNLABELLED)
    watched = labelled.features[:, model.profile.watched]
    alike = np.abs(np.corrcoef(watched.T)) - np.eye(len(model.profile.watched))
    assert len(model.profile.watched) == len(set(model.profile.watched)) > 10
    assert alike.max() < 0.801


# If anything of a subject had leaked into what judges that subject, it would change with it.
def test_a_prediction_for_a_person_left_out_depends_only_on_the_window(
    windows: LabelledWindows,
) -> None:
    held = cross_validate(windows, CLASSES, "blend").outputs
    rng = np.random.default_rng(0)
    theirs = np.flatnonzero(windows.subjects == "2")
    # Their other windows become nonsense, with the labels of other windows.
    kept = theirs[windows.copies[theirs] == 0][5:9]
    spoilt = np.setdiff1d(theirs, kept)
    features, truths = windows.features.copy(), windows.truths.copy()
    features[spoilt] = rng.uniform(-1, 1, (len(spoilt), features.shape[1]))
    truths[spoilt] = rng.permutation(truths[spoilt])
    others = replace(windows, features=features, truths=truths)

    again = cross_validate(others, CLASSES, "blend").outputs

    originals = np.flatnonzero(windows.copies == 0)
    rows = np.searchsorted(originals, kept)
    for found, before in ((again.logits, held.logits), (again.values, held.values)):
        assert found is not None
        assert before is not None
        assert not np.array_equal(found, before)
        np.testing.assert_array_equal(found[rows], before[rows])


def test_a_subject_is_in_one_fold() -> None:
    subjects = np.array(["1", "10", "2", "3", "1", "2", "10"])

    folds = assign_folds(subjects, 3)

    assert folds.tolist() == [0, 0, 1, 2, 0, 1, 0]


def test_progress_is_reported_for_each_fold(windows: LabelledWindows) -> None:
    steps: list[tuple[str, int, int]] = []

    train(windows, "invented", report=lambda *step: steps.append(step))

    assert steps == [
        ("cross-validation", 1, 3),
        ("cross-validation", 2, 3),
        ("cross-validation", 3, 3),
        ("fitting to all users", 1, 1),
    ]


def test_one_user_is_not_enough(raw_dir: Path) -> None:
    with pytest.raises(DataError, match="at least two users"):
        train(windows_of(raw_dir, "2"), "invented")


def test_an_activity_that_only_one_user_shows_is_refused(tmp_path: Path) -> None:
    raw_dir = write_raw_dir(tmp_path, users=2)
    labels = raw_dir / "labels.txt"
    labels.write_text("".join(labels.read_text().splitlines(keepends=True)[:-1]))

    with pytest.raises(DataError, match="no window is left of: laying"):
        train(windows_of(raw_dir), "invented")


@pytest.mark.parametrize("fewer", [("sitting", "rowing"), ("walking", "laying"), CLASSES[3:]])
def test_other_and_fewer_activities_are_learned_too(
    windows: LabelledWindows, fewer: tuple[str, ...]
) -> None:
    renamed = windows.truths.copy()
    renamed[renamed == "walking"] = "rowing" if "rowing" in fewer else "walking"
    some = replace(windows, truths=renamed).of(np.isin(renamed, fewer))

    model = train(some, "invented")

    assert model.card.activities == order_classes(fewer)
    assert model.card.training.judged.macro_f1 > 0.9


def test_the_shipped_model_knows_the_people_it_has_learned_from(har_dir: Path) -> None:
    shipped = artifact.load()
    recordings = [
        recording
        for recording in read_labelled_recordings(har_dir / "RawData")
        if recording.subject in "1358"
    ]
    windows = cut_recordings(recordings, seed=5, feature_set=shipped.feature_set)
    windows = windows.of(windows.truths != UNLABELLED)

    best = shipped.probabilities(windows.features).argmax(axis=1)

    said = np.array(shipped.card.activities)[best]
    assert ConfusionMatrix.of(windows.truths.tolist(), said.tolist()).macro_f1 > 0.9
