"""Opens the object store at an address."""

from pathlib import Path

from streamer.storage.object_store import ObjectStore
from streamer.storage.s3_address import is_in_s3


def open_store(location: str) -> ObjectStore:
    """Open a folder, which need not exist yet, or `s3://bucket/prefix`.

    Raises:
        StorageError: the address names no bucket.
    """
    # Each of the two is imported where it is needed only: a plain worker needs neither.
    if is_in_s3(location):
        from streamer.storage.bucket import BucketStore  # noqa: PLC0415

        return BucketStore.parse(location)
    from streamer.storage.folder import FolderStore  # noqa: PLC0415

    return FolderStore(Path(location))
