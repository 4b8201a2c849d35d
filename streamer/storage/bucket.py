"""Objects of a bucket in Amazon S3, or in a store that speaks its protocol.

Region, credentials and address come from the standard chain of the AWS SDK.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, Self

from botocore import exceptions

from streamer.errors import ConflictError, StorageError
from streamer.storage.object_store import Tagged, missing
from streamer.storage.s3_address import SCHEME, split_folder

CONNECT_S: Final = 5
READ_S: Final = 30
ATTEMPTS: Final = 3
"""How often the SDK sends a request that fails, in all."""

_CHANGED: Final = {"PreconditionFailed", "ConditionalRequestConflict"}
_ABSENT: Final = {"NoSuchKey", "404"}


class BucketStore:
    """An `ObjectStore` in a bucket. Writers compare by conditional requests of S3."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse `s3://bucket/some/prefix`.

        Raises:
            StorageError: the address names no bucket.
        """
        return cls(*split_folder(url))

    @property
    def location(self) -> str:
        """The address, `s3://bucket/prefix`."""
        return f"{SCHEME}{self._bucket}/{self._prefix}".rstrip("/")

    def read(self, name: str) -> Tagged:
        """Return the content of an object; the tag is its entity tag."""
        with self._explained(f"{name} cannot be read"):
            try:
                found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
                return Tagged(found["Body"].read(), found["ETag"])
            except exceptions.ClientError as error:
                if _code(error) in _ABSENT:
                    raise missing(self, name) from None
                raise

    def write(self, name: str, content: bytes) -> None:
        """Write an object."""
        with self._explained(f"{name} cannot be written"):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content)

    def replace(self, name: str, content: bytes, tag: str | None) -> None:
        """Write an object if the present one still has this tag; None: if there is none."""
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        with self._explained(f"{name} cannot be written"):
            try:
                self._client.put_object(
                    Bucket=self._bucket, Key=self._prefix + name, Body=content, **condition
                )
            except exceptions.ClientError as error:
                if _code(error) in _CHANGED or (tag is not None and _code(error) in _ABSENT):
                    raise ConflictError(
                        f"{self.location}/{name} was changed by another program at the same time"
                    ) from None
                if _code(error) == "NotImplemented":
                    raise StorageError(
                        f"{self.location} does not know conditional writes (If-Match, "
                        "If-None-Match), without which two programs could overwrite each other's "
                        "changes; use another store, or a folder"
                    ) from None
                raise

    def list(self, prefix: str = "") -> list[str]:
        """Return the names of objects that begin with a prefix, sorted."""
        with self._explained("its objects cannot be listed"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            return sorted(
                each["Key"].removeprefix(self._prefix)
                for page in pages
                for each in page.get("Contents", [])
            )

    def delete(self, name: str) -> None:
        """Remove an object, if it is there."""
        with self._explained(f"{name} cannot be removed"):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - takes a while
        from botocore.session import get_session  # noqa: PLC0415 - takes a while

        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        )
        return get_session().create_client("s3", config=config)

    @contextmanager
    def _explained(self, problem: str) -> Iterator[None]:
        try:
            yield
        except (exceptions.BotoCoreError, exceptions.ClientError, ValueError) as error:
            raise StorageError(
                f"{self.location}: {problem}: {error}; check the bucket, its region and the "
                "permissions of these AWS credentials"
            ) from error


def _code(error: exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
