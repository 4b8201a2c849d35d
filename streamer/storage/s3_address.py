"""Addresses in Amazon S3: `s3://bucket/key`."""

from typing import Final

from streamer.errors import StorageError

SCHEME: Final = "s3://"


def is_in_s3(location: str) -> bool:
    """Return whether a location is an address in S3, and not a path."""
    return location.startswith(SCHEME)


def split_address(address: str) -> tuple[str, str]:
    """Return the bucket and the key of an address; the key may be empty."""
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    return bucket, key


def split_folder(address: str) -> tuple[str, str]:
    """Return the bucket of `s3://bucket/some/folder`, and the prefix of the keys in the folder.

    The prefix is empty or ends with a slash.

    Raises:
        StorageError: the address names no bucket.
    """
    bucket, key = split_address(address)
    if not bucket:
        raise StorageError(f"{address} names no bucket; write {SCHEME}bucket/folder")
    return bucket, f"{key.strip('/')}/".lstrip("/")
