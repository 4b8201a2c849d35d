"""Writes files and folders that appear complete or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from streamer.errors import DataError, StorageError


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing. It replaces the file at `path` when all of it is written.

    Raises:
        StorageError: the file cannot be written.
    """
    unfinished = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}-", delete=False
        ) as file:
            unfinished = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(path)
        unfinished = None
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        if unfinished:
            unfinished.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder to write in. It is moved to `folder` when all of it is written.

    Raises:
        DataError: the folder exists and is not empty.
        StorageError: it cannot be written.
    """
    unfinished = None
    try:
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise DataError(f"{folder} exists and is not empty; choose another folder")
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        yield unfinished
        unfinished.chmod(0o777 & ~_umask())
        unfinished.replace(folder)
        unfinished = None
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        if unfinished:
            shutil.rmtree(unfinished, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
