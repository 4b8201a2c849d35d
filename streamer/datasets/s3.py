"""Uploads folders to Amazon S3, complete or not at all.

Region, credentials and address come from the standard chain of the AWS SDK.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aioboto3
from botocore import exceptions

from streamer.errors import DataError
from streamer.storage.s3_address import SCHEME, split_folder


@dataclass(frozen=True, slots=True)
class S3Folder:
    """All objects of a bucket whose keys start with a prefix."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}"

    @classmethod
    def parse(cls, url: str) -> "S3Folder":
        """Parse `s3://bucket/some/folder`.

        Raises:
            StorageError: the address names no bucket.
        """
        return cls(*split_folder(url))

    def check_is_empty(self) -> None:
        """Check that the folder has no objects.

        Raises:
            DataError: it has objects, or S3 does not answer.
        """
        asyncio.run(self._check_is_empty())

    def upload(self, files: Sequence[Path], report: Callable[[int], None] = lambda _: None) -> None:
        """Upload files one after the other. If one fails, remove those that were uploaded.

        Args:
            files: the files; their names become the ends of the keys.
            report: called with the number of files that were uploaded just now.

        Raises:
            DataError: a file could not be uploaded.
        """
        asyncio.run(self._upload(files, report))

    async def _check_is_empty(self) -> None:
        async with self._client() as client:
            found = await client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)
        if found.get("Contents"):
            raise DataError(f"{self} has files already; choose another folder or empty this one")

    async def _upload(self, files: Sequence[Path], report: Callable[[int], None]) -> None:
        async with self._client() as client:
            begun: dict[str, asyncio.Future[Any]] = {}
            try:
                for file in files:
                    content = await asyncio.to_thread(file.read_bytes)
                    key = self.prefix + file.name
                    put = client.put_object(Bucket=self.bucket, Key=key, Body=content)
                    begun[key] = asyncio.ensure_future(put)
                    await asyncio.shield(begun[key])
                    report(1)
            except BaseException:
                # Wait for all: a cancelled upload could arrive after its object was removed.
                await asyncio.gather(*begun.values(), return_exceptions=True)
                await self._remove(client, list(begun))
                raise

    async def _remove(self, client: Any, keys: Sequence[str]) -> None:
        try:
            for key in keys:
                await client.delete_object(Bucket=self.bucket, Key=key)
        except (exceptions.BotoCoreError, exceptions.ClientError) as error:
            raise DataError(
                f"writing {self} failed, and the objects that were written could not be removed; "
                f"remove them yourself ({error})"
            ) from error

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Any]:
        try:
            async with aioboto3.Session().client("s3") as client:
                yield client
        except (exceptions.BotoCoreError, exceptions.ClientError, ValueError) as error:
            raise DataError(
                f"{self} cannot be written: {error}; check the bucket, its region and the "
                "permissions of these AWS credentials"
            ) from error
