"""The output folder of a conversion: on disk or in S3, complete or absent."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from streamer.datasets.s3 import S3Folder
from streamer.storage.atomic_files import atomic_folder
from streamer.storage.s3_address import is_in_s3


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Handle SIGTERM as an interrupt, so that unfinished output is removed."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # A shell starts its background jobs so; they must still end on SIGTERM.
            signal.default_int_handler(number, frame)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def output_folder(target: str, uploaded: Callable[[int], None] = lambda _: None) -> Iterator[Path]:
    """Yield a folder to write in. Its files are moved to ``target`` when the context ends.

    Args:
        target: path of a folder, or ``s3://bucket/folder``; it must be new or empty.
        uploaded: called with the number of files that were uploaded just now.

    Raises:
        DataError: the target is not empty, or cannot be written.
    """
    if not is_in_s3(target):
        with atomic_folder(Path(target)) as folder:
            yield folder
        return
    destination = S3Folder.parse(target)
    destination.check_is_empty()
    with tempfile.TemporaryDirectory(prefix="streamer-") as staging:
        yield Path(staging)
        # The schema is uploaded last: a folder with a schema is complete.
        files = sorted(Path(staging).iterdir(), key=lambda file: (file.suffix != ".csv", file.name))
        destination.upload(files, uploaded)
