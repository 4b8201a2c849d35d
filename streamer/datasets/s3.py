"""Folders in Amazon S3, which are there whole or not at all.

Region, credentials and address are those of the SDK's standard chain.
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

SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class Folder:
    """All objects whose keys start with a prefix."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}"

    @classmethod
    def parse(cls, url: str) -> "Folder":
        """Read `s3://bucket/some/folder`.

        Raises:
            DataError: there is no bucket in it.
        """
        bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
        if not bucket:
            raise DataError(f"{url} names no bucket; write {SCHEME}bucket/folder")
        prefix = prefix.strip("/")
        return cls(bucket, f"{prefix}/" if prefix else "")

    def see_that_it_is_new(self) -> None:
        """Ask whether something is there already.

        Raises:
            DataError: it is, or S3 does not say.
        """
        asyncio.run(self._see_that_it_is_new())

    def upload(self, files: Sequence[Path], report: Callable[[int], None] = lambda _: None) -> None:
        """Upload files one after the other; when one fails, remove those that are there already.

        Args:
            files: under their names.
            report: is told how many files were uploaded just now.

        Raises:
            DataError: it did not work.
        """
        asyncio.run(self._upload(files, report))

    async def _see_that_it_is_new(self) -> None:
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
                # An upload that was cut off could still arrive after its object was removed.
                await asyncio.gather(*begun.values(), return_exceptions=True)
                await self._remove(client, list(begun))
                raise

    async def _remove(self, client: Any, keys: Sequence[str]) -> None:
        try:
            for key in keys:
                await client.delete_object(Bucket=self.bucket, Key=key)
        except (exceptions.BotoCoreError, exceptions.ClientError) as error:
            raise DataError(
                f"writing {self} failed, and so did removing what was written; remove the objects "
                f"there yourself ({error})"
            ) from error

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Any]:
        try:
            async with aioboto3.Session().client("s3") as client:
                yield client
        except (exceptions.BotoCoreError, exceptions.ClientError, ValueError) as error:
            raise DataError(
                f"{self} cannot be written: {error}; see that the bucket, its region and the "
                "permissions of these AWS credentials are right"
            ) from error
