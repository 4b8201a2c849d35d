"""A model that is adapted to one person."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.cli import main
from streamer.datasets.labelled_windows import LabelledWindows
from streamer.errors import DataError, ModelError
from streamer.model import artifact
from streamer.model.adapted_scores import shift_scores
from streamer.model.artifact import Model
from streamer.training.adaptation import adapt, fit_shifts, judge_adaptation
from tests.model.test_artifact import rewrite_card

ACTIVITIES = ("walking", "walking_upstairs", "sitting", "standing>sitting")


def recordings_of(model: Model, count: int = 240) -> LabelledWindows:
    """Invented features; the person climbs stairs far more often than the model expects."""
    rng = np.random.default_rng(3)
    features = rng.uniform(-1, 1, (count, len(model.feature_set.names)))
    shifts = np.zeros(len(model.card.activities))
    shifts[:2] = -2, 2
    shares = shift_scores(model.probabilities(features), shifts).cumsum(axis=1)
    drawn = (rng.random((count, 1)) * shares[:, -1:] < shares).argmax(axis=1)
    truths = np.array(model.card.activities)[drawn]
    recordings = np.array([f"r{i // 20:02}" for i in range(count)])
    return LabelledWindows(
        features,
        truths,
        np.full(count, "anna"),
        recordings,
        np.arange(count),
        np.zeros(count, np.int64),
        np.full(count, ""),
        model.feature_set,
    )


def test_scores_rise_for_what_the_person_does_more_often_and_no_others_change() -> None:
    rng = np.random.default_rng(1)
    scores = rng.dirichlet([5, 4, 1, 1], 400)
    truths = np.where(rng.random(400) < 0.8, "walking_upstairs", "walking")
    shifts = np.array(fit_shifts(scores, truths, ACTIVITIES))
    assert shifts[1] > 0 > shifts[0]
    assert not shifts[2:].any()
    shifted = shift_scores(scores, shifts)
    assert (shifted[:, 1] > scores[:, 1]).all()
    np.testing.assert_array_equal(shifted[:, 2:], scores[:, 2:])
    np.testing.assert_allclose(shifted.sum(axis=1), 1)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_shifted_scores_have_the_same_bits_in_any_batch(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(13), 20)
    shifts = rng.normal(0, 1, 13) * rng.integers(0, 2, 13)
    parts = [shift_scores(scores[i : i + size], shifts) for i in range(0, 20, size)]
    assert np.concatenate(parts).tobytes() == shift_scores(scores, shifts).tobytes()


def test_an_adapted_model_names_its_parent_and_survives_its_file(
    model: Model, tmp_path: Path
) -> None:
    windows = recordings_of(model)
    adapted = adapt(model, windows, "anna")
    artifact.save(tmp_path / "anna.npz", adapted)
    loaded = artifact.load(tmp_path / "anna.npz")
    assert loaded.version == adapted.version != model.version
    assert loaded.card.adapted == adapted.card.adapted
    assert adapted.card.id == "anna"
    parent = adapted.card.adapted.parent  # type: ignore[union-attr]
    assert (parent.id, parent.version) == (model.card.id, model.version)
    is_true = np.array([[truth == name for name in ACTIVITIES[:2]] for truth in windows.truths])
    before, after = (each.probabilities(windows.features)[:, :2] for each in (model, loaded))
    assert after[is_true].mean() > before[is_true].mean()
    judged = judge_adaptation(model, windows)
    assert judged is not None
    assert all(0 < figure <= 1 for figure in judged)


def test_a_model_that_cannot_be_adapted_is_an_error(model: Model, tmp_path: Path) -> None:
    windows = recordings_of(model)
    with pytest.raises(DataError, match="fewer than two activities"):
        adapt(model, windows.of(np.arange(5)), "anna")
    with pytest.raises(DataError, match="adapt its parent invented"):
        adapt(adapt(model, windows, "anna"), windows, "again")
    path = tmp_path / "broken.npz"
    artifact.save(path, model)
    adapted = {"parent": {"id": "a", "version": "1"}, "subjects": [], "windows": 1, "shifts": [1.0]}
    rewrite_card(path, model, adapted=adapted)
    with pytest.raises(ModelError, match="has not one shift for each"):
        artifact.load(path)


def test_the_command_adapts_and_the_card_and_evaluation_say_so(
    raw_dir: Path, tmp_path: Path
) -> None:
    output = str(tmp_path / "mine.npz")
    arguments = ["model", "adapt", str(raw_dir), "--base", "waist"]
    done = CliRunner().invoke(main, [*arguments, "--output", output])
    assert done.exit_code == 0, done.output
    assert "waist-adapted" in done.output
    shown = CliRunner().invoke(main, ["model", "show", output])
    assert "from waist" in shown.output
    judged = CliRunner().invoke(
        main, ["model", "evaluate", str(raw_dir), "--model", output, "--users", "2", "--json"]
    )
    assert "the model has learned from these users: 2" in judged.stderr
