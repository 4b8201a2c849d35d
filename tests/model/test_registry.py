"""The registry of model versions."""

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from streamer.cli import main
from streamer.errors import ConflictError, DataError, ModelError, StorageError
from streamer.model import artifact
from streamer.model.artifact import Model
from streamer.model.registry import Registry
from streamer.model.versions import Promotion, Version, find_earlier
from streamer.storage.folder import FolderStore
from tests.support.s3_server import BUCKET, S3Server


def renamed(model: Model, name: str) -> Model:
    card = msgspec.structs.replace(model.card, id=name)
    return Model(card, model.low, model.high, model.weights, model.bias, model.deciles)


def add(registry: Registry, model: Model, parent: str | None = None) -> Version:
    return registry.add(
        model, data={"windows": b"some"}, figures={"f1": 0.9}, parent=parent, note="a note"
    )


@pytest.fixture
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    """In a folder, or where the test says so in a bucket."""
    if getattr(request, "param", "folder") == "folder":
        return Registry.open(str(tmp_path / "registry"))
    request.getfixturevalue("s3")
    return Registry.open(f"s3://{BUCKET}/registry")


in_both = pytest.mark.parametrize("registry", ["folder", "bucket"], indirect=True)


@in_both
def test_a_version_has_its_model_data_figures_and_parent(registry: Registry, model: Model) -> None:
    first = add(registry, model)
    second = add(registry, renamed(model, "other"), first.id)

    assert first.id == model.version
    assert second.parent == first.id
    assert second.figures == {"f1": 0.9}
    assert registry.read(second, "data/windows") == b"some"
    assert registry.load(second).version == second.id
    assert registry.get(second.id) == second
    assert registry.current_id() is None
    assert registry.history().versions == [first, second]


def test_the_same_model_is_added_once_and_stays_as_it_is(registry: Registry, model: Model) -> None:
    first = add(registry, model)
    again = registry.add(model, data={}, figures={}, parent=None, note="again")
    assert again == first
    assert registry.history().versions == [first]


@in_both
def test_a_rollback_leads_to_the_version_before_and_then_further_back(
    registry: Registry, model: Model
) -> None:
    #  promoted   a   b   c
    #  rollback           b   a   and no further
    a, b, c = (add(registry, renamed(model, name)).id for name in "abc")
    for version in (a, b, c):
        registry.promote(version, "better")
    assert registry.current().id == c
    assert registry.rollback("worse") == b
    assert registry.current().id == b
    assert registry.rollback() == a
    with pytest.raises(ModelError, match="no version before"):
        registry.rollback()
    found = registry.history().promotions
    assert [each.version for each in found] == [a, b, c, b, a]
    assert [each.rollback for each in found] == [False, False, False, True, True]
    assert found[3].reason == "worse"


def test_after_a_rollback_and_a_promotion_a_rollback_leads_back_again() -> None:
    def promotions(text: str) -> list[Promotion]:
        return [
            Promotion(version=each.lower(), at_ms=0, reason="", rollback=each.isupper())
            for each in text
        ]

    # Lower case letters are promotions, upper case letters are rollbacks.
    assert find_earlier(promotions("abA")) is None
    assert find_earlier(promotions("abAc")) == "a"
    assert find_earlier(promotions("aba")) == "b"
    assert find_earlier(promotions("abaB")) == "a"


def test_without_a_current_version_the_error_says_what_to_do(
    registry: Registry, model: Model
) -> None:
    with pytest.raises(ModelError, match="no current version; `streamer model promote`"):
        registry.current()
    with pytest.raises(ModelError, match="has no version 0123"):
        registry.promote("0123")
    assert registry.current_id() is None


def test_a_current_that_points_nowhere_is_a_clear_error(tmp_path: Path, model: Model) -> None:
    registry = Registry.open(str(tmp_path))
    version = add(registry, model)
    registry.promote(version.id)
    (tmp_path / "versions" / version.id / "version.json").unlink()
    with pytest.raises(ModelError, match=f"version of .* is {version.id}, and .* not there"):
        registry.current()
    (tmp_path / "current.json").write_text("{")
    with pytest.raises(ModelError, match=r"current\.json cannot be read"):
        registry.current()


@pytest.mark.parametrize("content", [b'{"promotions": [{"reason": "\xff"}]}', b"[" * 100_000])
def test_a_current_of_any_bytes_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "current.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"current\.json cannot be read"):
        Registry.open(str(tmp_path)).current()


@pytest.mark.parametrize("damage", [b"", b"PK", None])
def test_a_version_whose_file_is_cut_off_or_gone_does_not_become_current(
    tmp_path: Path, model: Model, damage: bytes | None
) -> None:
    registry = Registry.open(str(tmp_path))
    version = add(registry, model)
    path = tmp_path / "versions" / version.id / "model.npz"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    with pytest.raises(ModelError, match=r"not what was added|has no versions/"):
        registry.promote(version.id)
    assert registry.current_id() is None


def test_a_promotion_whose_answer_is_lost_has_succeeded_once(s3: S3Server, model: Model) -> None:
    #  request   stored, the answer is lost | the SDK repeats it: the object has changed
    registry = Registry.open(f"s3://{BUCKET}/registry")
    a, b, c = (add(registry, renamed(model, name)).id for name in "abc")
    for version in (a, b, c):
        s3.lost_answers = 1
        registry.promote(version)
    s3.lost_answers = 1
    assert registry.rollback() == b
    assert [each.version for each in registry.history().promotions] == [a, b, c, b]


@in_both
def test_of_two_updates_at_once_one_is_promoted_and_the_other_is_told(
    registry: Registry, model: Model
) -> None:
    old, a, b = (add(registry, renamed(model, name)).id for name in ("old", "a", "b"))
    registry.promote(old)
    registry.promote(a, "better", instead_of=old)
    with pytest.raises(ConflictError, match=f"{a} became the current version"):
        registry.promote(b, "better", instead_of=old)
    assert registry.current_id() == a


def test_promotions_at_the_same_time_are_all_in_the_history_or_told(
    registry: Registry, model: Model
) -> None:
    ids = [add(registry, renamed(model, name)).id for name in "abcdef"]
    registry.promote(ids[0])
    told: list[str] = []

    def promote(version: str) -> None:
        try:
            registry.promote(version)
        except ConflictError:
            told.append(version)

    threads = [threading.Thread(target=promote, args=[each]) for each in ids[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    promoted = [each.version for each in registry.history().promotions]
    assert sorted([*promoted, *told]) == sorted(ids)


def test_a_full_disk_leaves_no_version_and_the_current_one_goes_on(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry.open(str(tmp_path))
    version = add(registry, model)
    registry.promote(version.id)
    write = FolderStore.write

    def fails(self: FolderStore, name: str, content: bytes) -> None:
        if "data/" in name:
            raise StorageError(f"{name} cannot be written: No space left on device")
        write(self, name, content)

    monkeypatch.setattr(FolderStore, "write", fails)
    with pytest.raises(StorageError, match="No space left"):
        add(registry, renamed(model, "other"))
    assert [each.id for each in registry.history().versions] == [version.id]
    assert registry.current() == version


def test_a_bucket_that_is_not_ours_is_a_clear_error(s3: S3Server, model: Model) -> None:
    s3.on_upload = lambda _: False
    with pytest.raises(DataError, match="AccessDenied"):
        add(Registry.open(f"s3://{BUCKET}/registry"), model)
    with pytest.raises(DataError, match="check the bucket"):
        Registry.open("s3://another-bucket/registry").current()


def streamer_model(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["model", *map(str, arguments)])


def test_the_command_line_promotes_lists_and_rolls_back(tmp_path: Path, model: Model) -> None:
    location = ("--registry", tmp_path / "registry")
    path = tmp_path / "mine.npz"
    artifact.save(path, model)

    def run(*arguments: Any) -> str:
        done = streamer_model(*arguments, *location)
        assert done.exit_code == 0, done.output
        return done.output

    shipped = artifact.load().version
    run("promote", "har")
    assert f"{model.version} is the current version" in run("promote", path, "--reason", "mine")
    shown = run("history")
    rows = [line.split() for line in shown.splitlines()]
    assert any(row[:2] == ["*", model.version] for row in rows)
    assert any(row[:1] == [shipped] for row in rows)
    assert f"{shipped} is the current version again" in run("rollback", "--reason", "worse")
    found = msgspec.json.decode(run("history", "--json"))
    assert [each["version"] for each in found["promotions"]] == [shipped, model.version, shipped]
    refused = streamer_model("promote", "0123", *location)
    assert (refused.exit_code, "has no version 0123" in refused.output) == (1, True)
