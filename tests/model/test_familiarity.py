"""How strange windows are to a model: bits, limits, and the file."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.errors import ModelError
from streamer.model import artifact
from streamer.model.familiarity import DECIMALS, show_steady_movement
from tests.model.test_artifact import npy, rewrite

SHIPPED = [artifact.load(path) for path in artifact.NAMED.values()]


def moving_windows(model: artifact.Model, count: int, seed: int) -> Floats:
    """(n, features) like those of training; every fifth one rests, the others move steadily."""
    rng = np.random.default_rng(seed)
    middle = model.deciles[:, 6]
    features = middle + rng.normal(0, 0.2, (count, len(middle)))
    calm = [model.feature_set.names.index(f"tGravityAcc-std()-{axis}") for axis in "XYZ"]
    features[:, calm] = model.deciles[calm, 0]
    jerk = model.feature_set.names.index("tBodyAccJerkMag-mean()")
    features[:, jerk] = model.deciles[jerk, 7]
    features[::5, jerk] = model.deciles[jerk, 0]
    return features


@pytest.mark.parametrize("model", SHIPPED, ids=lambda model: model.card.id)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 20))
def test_strangeness_has_the_same_bits_in_any_batch(
    model: artifact.Model, seed: int, cut: int
) -> None:
    assert model.familiarity is not None
    features = moving_windows(model, 20, seed)
    whole = model.familiarity.measure(features)
    parts = [model.familiarity.measure(part) for part in (features[:cut], features[cut:])]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    singles = [model.familiarity.measure(features[i : i + 1])[0] for i in range(20)]
    assert np.array(singles).tobytes() == whole.tobytes()


@pytest.mark.parametrize("model", SHIPPED, ids=lambda model: model.card.id)
def test_strangeness_is_the_distance_from_the_nearest_class_and_nan_for_resting_windows(
    model: artifact.Model,
) -> None:
    known = model.familiarity
    assert known is not None
    features = moving_windows(model, 40, 1)
    steady = show_steady_movement(model.feature_set, features)
    assert steady.tolist() == [i % 5 > 0 for i in range(40)]
    places = np.clip(features[:, known.columns], *known.bounds) @ known.whitening
    distances = ((places[:, None] - known.centres) ** 2).sum(axis=2).min(axis=1)
    found = known.measure(features)
    np.testing.assert_allclose(found[steady], distances[steady], rtol=1e-9, atol=10**-DECIMALS)
    assert np.isnan(found[~steady]).all()


def test_a_file_without_familiarity_loads_and_gives_no_strangeness(tmp_path: Path) -> None:
    path = tmp_path / "old.npz"
    artifact.save(path, replace(SHIPPED[0], familiarity=None))
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if "familiarity" in name]
    assert artifact.load(path).familiarity is None


@pytest.mark.parametrize(
    ("name", "array", "complaint"),
    [
        ("whitening", np.zeros((3, 3)), "do not fit"),
        ("centres", np.zeros((0, 100)), "do not fit"),
        ("columns", np.full(100, 9999.0), "do not exist"),
        ("columns", np.full(100, 0.5), "do not exist"),
        ("bounds", np.zeros((2, 100), np.float32), "float32"),
    ],
)
def test_a_file_whose_arrays_do_not_fit_is_refused(
    tmp_path: Path, name: str, array: Floats, complaint: str
) -> None:
    path = tmp_path / "broken.npz"
    artifact.save(path, artifact.load())
    rewrite(path, f"familiarity_{name}.npy", npy(array))
    with pytest.raises(ModelError, match=complaint):
        artifact.load(path)


def test_a_file_with_a_part_of_its_arrays_is_refused(tmp_path: Path) -> None:
    path, part = tmp_path / "whole.npz", tmp_path / "part.npz"
    artifact.save(path, artifact.load())
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(part, "w") as other:
        for name in archive.namelist():
            if name != "familiarity_bounds.npy":
                other.writestr(name, archive.read(name))
    with pytest.raises(ModelError, match=r"it has no familiarity_bounds\.npy"):
        artifact.load(part)
