"""Where converted data go: a new folder on disk or in S3, complete or not there at all."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from streamer.datasets import s3
from streamer.datasets.atomic_files import atomic_folder


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM clean up as an interrupt does; by default it would leave things half done."""
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def output_folder(target: str, uploaded: Callable[[int], None] = lambda _: None) -> Iterator[Path]:
    """Give a folder to write in, whose files are at ``target`` when all has gone well.

    Args:
        target: path of a folder, or ``s3://bucket/folder``; new, or empty.
        uploaded: is told how many files were uploaded just now.

    Raises:
        DataError: it is not empty, or cannot be written.
    """
    if not target.startswith(s3.SCHEME):
        with atomic_folder(Path(target)) as folder:
            yield folder
        return
    destination = s3.Folder.parse(target)
    destination.see_that_it_is_new()
    with tempfile.TemporaryDirectory(prefix="streamer-") as staging:
        yield Path(staging)
        # The schema is the last one: where it is, everything is.
        files = sorted(Path(staging).iterdir(), key=lambda file: (file.suffix != ".csv", file.name))
        destination.upload(files, uploaded)
