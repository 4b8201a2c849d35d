"""Reads and writes the objects of Amazon ML's jobs in S3.

Region, credentials and address come from the standard chain of the AWS SDK.
"""

import errno
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aioboto3
from aiobotocore.config import AioConfig
from botocore import exceptions

from streamer.prediction_server.amazon_ml.schema import InvalidDataError
from streamer.storage.s3_address import SCHEME, split_address

ATTEMPTS = 6
"""Attempts of each call: an outage of S3 of half a minute fails no job."""


@dataclass(frozen=True, slots=True)
class S3Object:
    """One object of S3, and its size in bytes."""

    bucket: str
    key: str
    size: int

    @property
    def url(self) -> str:
        """Its address, `s3://bucket/key`."""
        return f"{SCHEME}{self.bucket}/{self.key}"


class ObjectStorage:
    """S3, as the jobs use it. Each method raises `InvalidDataError` if it fails."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def list_data(self, url: str) -> list[S3Object]:
        """Return the data files at an address: one object, or those of a folder, sorted.

        A folder is an address that ends with `/`. Schema files are left out.
        """
        bucket, key = split_address(url)
        with _explained(url):
            if key and not key.endswith("/"):
                found = await self._client.head_object(Bucket=bucket, Key=key)
                return [S3Object(bucket, key, found["ContentLength"])]
            pages = self._client.get_paginator("list_objects_v2")
            objects = [
                S3Object(bucket, each["Key"], each["Size"])
                async for page in pages.paginate(Bucket=bucket, Prefix=key, Delimiter="/")
                for each in page.get("Contents", [])
                if not each["Key"].endswith((".schema", "/"))
            ]
        if not objects:
            raise InvalidDataError(f"{url} has no data files")
        return sorted(objects, key=lambda each: each.key)

    async def read(self, url: str) -> bytes:
        """Return the content of an object."""
        bucket, key = split_address(url)
        with _explained(url):
            answer = await self._client.get_object(Bucket=bucket, Key=key)
            async with answer["Body"] as body:
                content: bytes = await body.read()
        return content

    async def download(self, found: S3Object, path: Path) -> None:
        """Copy an object to a file."""
        with _explained(found.url):
            await self._client.download_file(found.bucket, found.key, os.fspath(path))

    async def upload(self, path: Path, url: str) -> None:
        """Copy a file to an object."""
        bucket, key = split_address(url)
        with _explained(url):
            await self._client.upload_file(os.fspath(path), bucket, key)

    async def write(self, content: bytes, url: str) -> None:
        """Write an object."""
        bucket, key = split_address(url)
        with _explained(url):
            await self._client.put_object(Bucket=bucket, Key=key, Body=content)


@asynccontextmanager
async def open_object_storage() -> AsyncIterator[ObjectStorage]:
    """Open S3 while the context is open.

    Raises:
        InvalidDataError: the SDK lacks a setting.
    """
    config = AioConfig(retries={"total_max_attempts": ATTEMPTS, "mode": "standard"})
    try:
        async with aioboto3.Session().client("s3", config=config) as client:
            yield ObjectStorage(client)
    except (exceptions.BotoCoreError, ValueError) as error:
        raise InvalidDataError(f"the server cannot use S3: {error}") from error


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Translate the errors of S3 and of the disk."""
    try:
        yield
    except exceptions.ClientError as error:
        raise InvalidDataError(_explain(url, error)) from error
    except exceptions.BotoCoreError as error:
        raise InvalidDataError(f"S3 cannot be reached for {url}: {error}") from error
    except OSError as error:
        raise InvalidDataError(explain_disk(error)) from error


def _explain(url: str, error: exceptions.ClientError) -> str:
    code = str(error.response.get("Error", {}).get("Code"))
    bucket, key = split_address(url)
    if code == "NoSuchBucket":
        return f"the bucket {bucket} does not exist"
    if code in {"NoSuchKey", "404"}:
        return f"{url} does not exist: the bucket {bucket} or its object {key}"
    if code in {"AccessDenied", "403"}:
        return f"access to {url} is denied; its bucket policy must allow it to Amazon ML"
    return f"S3 refuses {url}: {error}"


def explain_disk(error: OSError) -> str:
    """Return what a failed access to the disk of the server means."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "the disk of the server is full; free space in its folder for temporary files"
    return f"the server cannot write its temporary files: {error.strerror or error}"
