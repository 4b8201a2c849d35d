"""Objects in a folder and in a bucket: the same promises of both."""

import errno
import os
import threading
from pathlib import Path

import pytest

from streamer.errors import ConflictError, MissingObjectError, StorageError
from streamer.storage.object_store import ObjectStore
from streamer.storage.open_store import open_store
from tests.support.s3_server import BUCKET, S3Server


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_store(str(tmp_path / "some" / "folder"))
    request.getfixturevalue("s3")
    return open_store(f"s3://{BUCKET}/some/prefix")


def test_what_is_written_can_be_read_listed_and_removed(store: ObjectStore) -> None:
    assert store.list() == []
    store.write("a/1", b"one")
    store.write("a/2", b"two")
    store.write("b", b"three")
    store.write("a/1", b"other")

    assert store.read("a/1").content == b"other"
    assert store.list() == ["a/1", "a/2", "b"]
    assert store.list("a/") == ["a/1", "a/2"]
    assert store.list("a/2") == ["a/2"]
    store.delete("a/1")
    store.delete("a/1")
    assert store.list() == ["a/2", "b"]
    with pytest.raises(MissingObjectError, match="has no a/1"):
        store.read("a/1")


def test_only_the_writer_that_has_seen_the_present_content_replaces_it(store: ObjectStore) -> None:
    store.replace("a", b"1", None)
    seen = store.read("a").tag
    store.replace("a", b"2", seen)
    for late in (None, seen):
        with pytest.raises(ConflictError, match="at the same time"):
            store.replace("a", b"3", late)
    with pytest.raises(ConflictError):
        store.replace("b", b"3", seen)
    assert store.read("a").content == b"2"
    assert store.list() == ["a"]


def test_of_many_writers_at_once_exactly_one_replaces_an_object(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write("a", b"")
    tag = store.read("a").tag
    written: list[int] = []

    def replace(number: int) -> None:
        try:
            store.replace("a", b"%d" % number, tag)
        except ConflictError:
            return
        written.append(number)

    threads = [threading.Thread(target=replace, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [b"%d" % number for number in written] == [store.read("a").content]


def test_a_file_that_is_being_written_is_no_object(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    (tmp_path / ".a-unfinished").write_bytes(b"half")
    store.write("b", b"")
    assert store.list() == ["b"]


def test_a_bucket_that_is_not_there_or_not_ours_is_a_clear_error(s3: S3Server) -> None:
    elsewhere = open_store("s3://another-bucket/prefix")
    for attempt in (
        lambda: elsewhere.read("a"),
        lambda: elsewhere.write("a", b""),
        elsewhere.list,
        lambda: elsewhere.replace("a", b"", None),
    ):
        with pytest.raises(StorageError, match=r"s3://another-bucket/prefix: .*check the bucket"):
            attempt()
    s3.on_upload = lambda _: False
    with pytest.raises(StorageError, match="AccessDenied"):
        open_store(f"s3://{BUCKET}").write("a", b"")
    with pytest.raises(StorageError, match="names no bucket"):
        open_store("s3://")


def test_a_folder_that_cannot_be_made_is_a_clear_error() -> None:
    with pytest.raises(StorageError, match="cannot be made"):
        open_store("/dev/full/folder").write("a", b"")


def test_a_full_disk_is_a_clear_error_and_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path))
    store.write("a", b"old")

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="a cannot be written: No space left on device"):
        store.write("a", b"new")
    assert store.read("a").content == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
