import zipfile
from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.errors import ModelError
from streamer.model import artifact
from streamer.model.artifact import Model


@pytest.fixture
def path(tmp_path: Path, model: Model) -> Path:
    path = tmp_path / "model.npz"
    artifact.save(path, model)
    return path


def rewrite(path: Path, name: str, content: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, old in (members | {name: content}).items():
            method = compression if member == name else zipfile.ZIP_STORED
            archive.writestr(member, content if member == name else old, method)


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    file = BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def node(classes: Iterable[int]) -> dict[str, object]:
    return {"outcomes": [[each] for each in classes], "temperature": 1.0}


def usual(**changes: object) -> dict[str, object]:
    return {"watched": [], "mix": [1 / 12] * 12, "confidence": [0.1] * 10} | changes


def rewrite_card(path: Path, model: Model, **changes: object) -> None:
    card = msgspec.to_builtins(model.card) | changes
    rewrite(path, "card.json", msgspec.json.encode(card))


def test_a_saved_model_loads_as_it_was(path: Path, model: Model) -> None:
    loaded = artifact.load(path)

    assert loaded.card == model.card
    assert loaded.version == model.version
    for name in ("low", "high", "weights", "bias", "deciles"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))


def test_the_same_model_is_the_same_bytes(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.npz"
    artifact.save(again, artifact.load(path))

    assert again.read_bytes() == path.read_bytes()


def test_numpy_opens_the_file_too(path: Path, model: Model) -> None:
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["weights"], model.weights)


def test_any_change_of_a_model_changes_its_version(model: Model) -> None:
    weights = model.weights.copy()
    weights[3, 200] = np.nextafter(weights[3, 200], 9)
    renamed = msgspec.structs.replace(model.card, id="other")

    others = [
        replace(model, weights=weights),
        replace(model, bias=-model.bias),
        replace(model, deciles=model.deciles / 2),
        replace(model, card=renamed),
    ]
    assert len({model.version, *(other.version for other in others)}) == 5


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.npz cannot be read: No such file"):
        artifact.load(tmp_path / "nowhere.npz")


def test_a_model_that_cannot_be_written_says_so(tmp_path: Path, model: Model) -> None:
    with pytest.raises(ModelError, match=r"model\.npz cannot be written: No such file"):
        artifact.save(tmp_path / "nowhere" / "model.npz", model)


def test_a_folder_is_not_a_model_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: Is a directory"):
        artifact.load(tmp_path)


def test_a_file_that_is_not_a_zip_is_refused(path: Path) -> None:
    path.write_bytes(b"a,b,c\n1,2,3\n")

    with pytest.raises(ModelError, match=r"not an intact \.npz file"):
        artifact.load(path)


def test_a_file_larger_than_any_model_is_refused(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(200_000_000)

    with pytest.raises(ModelError, match="larger than"):
        artifact.load(path)


def test_a_small_file_that_unpacks_to_a_large_array_is_refused_unread(path: Path) -> None:
    bomb = npy(np.zeros(25_000_000))
    rewrite(path, "weights.npy", bomb, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 250_000

    with pytest.raises(ModelError, match="compressed, to 200,000,128 bytes when unpacked"):
        artifact.load(path)


def test_an_array_whose_header_promises_too_much_is_refused_unread(path: Path) -> None:
    header = npy(np.zeros((11, 561))).replace(b"(11, 561)", b"(10**9,)")
    claims_8_gb = npy(np.zeros((0, 561))).replace(b"(0, 561), }  ", b"(1000000000,)}")
    for content, message in [(header, "not a .npy array"), (claims_8_gb, r"\(1000000000,\)")]:
        rewrite(path, "weights.npy", content)
        with pytest.raises(ModelError, match=message):
            artifact.load(path)


def test_a_missing_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, weights=np.zeros((11, 561)))

    with pytest.raises(
        ModelError, match=r"has no bias\.npy, card\.json, deciles\.npy, high\.npy, low\.npy"
    ):
        artifact.load(path)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros((11, 560)), r"float64 \(11, 560\) in C order, not float64 \(11, 561\)"),
        (np.zeros((11, 561), np.float32), r"float32 \(11, 561\)"),
        (np.asfortranarray(np.zeros((11, 561))), "in Fortran order"),
        (np.full((11, 561), np.nan), "does not hold 6171 finite numbers"),
        (np.full((11, 561), np.inf), "does not hold 6171 finite numbers"),
    ],
)
def test_weights_of_another_shape_type_or_worth_are_refused(
    path: Path,
    weights: np.ndarray,
    message: str,
) -> None:
    rewrite(path, "weights.npy", npy(weights))

    with pytest.raises(ModelError, match=f"weights.npy .*{message}"):
        artifact.load(path)


def test_an_array_that_ends_early_is_refused(path: Path, model: Model) -> None:
    rewrite(path, "weights.npy", npy(model.weights)[:-8])

    with pytest.raises(ModelError, match="does not hold 6171 finite numbers"):
        artifact.load(path)


def test_a_pickle_is_never_opened(path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return pytest.fail, ("a pickle was executed",)

    rewrite(path, "weights.npy", npy(np.array([Trap()], object), allow_pickle=True))

    with pytest.raises(ModelError, match=r"weights\.npy is object"):
        artifact.load(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"feature_set": {"name": "uci-har", "version": "99"}},
            r"takes the features uci-har 99, which this version",
        ),
        ({"labels": ["A"] * 12}, "not two or more different names"),
        ({"labels": ["A"], "activities": ["walking"]}, "not two or more different names"),
        ({"labels": ["A", "B"]}, "2 labels have 12 activities"),
        ({"activities": ["dancing"] * 11 + ["unknown"]}, "is reserved"),
        ({"nodes": []}, "its nodes do not reach each class"),
        ({"nodes": [node(range(11))]}, "its nodes do not reach each class"),
        ({"nodes": [node(range(13))]}, "its nodes do not reach each class"),
        ({"nodes": [node(range(12)), node(range(12))]}, "its nodes do not reach each class"),
        ({"nodes": [node([*range(11), 0])]}, "its nodes do not reach each class"),
        ({"usual": usual(watched=[561])}, "does not fit its features"),
        ({"usual": usual(mix=[1.0])}, "does not fit its features"),
        ({"author": "someone"}, "author"),
        ({"id": 7}, "id"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    path: Path, model: Model, changes: dict[str, object], message: str
) -> None:
    rewrite_card(path, model, **changes)

    with pytest.raises(ModelError, match=message):
        artifact.load(path)


def test_a_refusal_names_the_file_and_the_way_out(path: Path, model: Model) -> None:
    rewrite_card(path, model, labels=[])

    with pytest.raises(ModelError, match=rf"model {path} cannot.*\n.*streamer model train"):
        artifact.load(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_still_the_same_model(
    path: Path, model: Model, data: st.DataObject
) -> None:
    artifact.save(path, model)
    content = bytearray(path.read_bytes())
    # The directory at the end is where damage is most harmful.
    spots = st.one_of(st.integers(0, len(content) - 1), st.integers(1, 400).map(lambda i: -i))
    for spot in data.draw(st.lists(spots, min_size=1, max_size=4)):
        content[spot] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(len(content) - 100, len(content)))])

    try:
        loaded = artifact.load(path)
    except ModelError:
        return
    assert loaded.version == model.version
