"""Objects as files of a folder."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streamer.errors import ConflictError, StorageError
from streamer.storage.atomic_files import atomic_file
from streamer.storage.object_store import Tagged, missing

_LOCK: Final = ".lock"


class FolderStore:
    """An `ObjectStore` in a folder. A lock file orders writers that compare before they write.

    The lock holds between processes of one machine, and over NFS from version 4 on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def location(self) -> str:
        """The path of the folder."""
        return str(self._folder)

    def read(self, name: str) -> Tagged:
        """Return the content of a file; the tag is its hash."""
        try:
            content = (self._folder / name).read_bytes()
        except FileNotFoundError:
            raise missing(self, name) from None
        except OSError as error:
            raise StorageError(f"{self._folder / name} cannot be read: {error.strerror}") from None
        return Tagged(content, hashlib.sha256(content).hexdigest())

    def write(self, name: str, content: bytes) -> None:
        """Write a file that replaces the one of this name when all of it is on the disk."""
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{path.parent} cannot be made: {error.strerror}") from None
        with atomic_file(path) as file:
            file.write(content)

    def replace(self, name: str, content: bytes, tag: str | None) -> None:
        """Write a file if the present one still has this tag; None: if there is none."""
        with self._locked():
            path = self._folder / name
            present = self.read(name).tag if path.exists() else None
            if present != tag:
                raise ConflictError(f"{path} was changed by another program at the same time")
            self.write(name, content)

    def list(self, prefix: str = "") -> list[str]:
        """Return the names of files that begin with a prefix, sorted."""
        # Walk only the folder that the prefix lies in.
        start = self._folder / prefix.rpartition("/")[0]
        names = (path.relative_to(self._folder) for path in start.rglob("*") if path.is_file())
        return sorted(
            text for each in names if (text := each.as_posix()).startswith(prefix) and _shown(each)
        )

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"{self._folder / name} cannot be removed: {error.strerror}"
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = (self._folder / _LOCK).open("ab")
        except OSError as error:
            raise StorageError(f"{self._folder} cannot be written: {error.strerror}") from None
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _shown(path: Path) -> bool:
    """Return whether a file is an object: not one that is being written, and not the lock."""
    return not path.name.startswith(".")
