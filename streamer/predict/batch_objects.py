"""Reads and writes the objects of batch predictions in a bucket of S3."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from botocore import exceptions

from streamer.predict.endpoint_protocol import InvalidAnswerError
from streamer.predict.retried_calls import RetriedCalls, is_not_found
from streamer.storage.s3_address import SCHEME, split_address

TRANSFER_S: Final = 600.0
"""Longest time for which an object of a batch is written or read."""


class BatchObjects:
    """The objects of a bucket. Each method but `list_once` waits until S3 answers.

    Args:
        storage: client of S3.
        bucket: name of the bucket.
        calls: makes the calls.
    """

    def __init__(self, storage: Any, bucket: str, calls: RetriedCalls) -> None:
        self._storage = storage
        self._bucket = bucket
        self._calls = calls

    def address(self, key: str) -> str:
        """Return the address of an object, `s3://bucket/key`."""
        return f"{SCHEME}{self._bucket}/{key}"

    async def list_once(self, prefix: str) -> list[str]:
        """Return the keys of all objects with a prefix, sorted.

        Raises:
            CallError: S3 does not answer now.
            EndpointError: the bucket does not exist, or access to it is denied.
        """

        async def call() -> list[str]:
            pages = self._storage.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            return [each["Key"] async for page in pages for each in page.get("Contents", [])]

        return sorted(await self._calls.call_once(call, TRANSFER_S))

    async def list(self, prefix: str) -> list[str]:
        """Return the keys of all objects with a prefix, sorted."""
        return await self._calls.call(lambda: self.list_once(prefix), TRANSFER_S)

    async def upload(self, path: Path, key: str) -> None:
        """Write an object with the content of a file."""
        await self._calls.call(
            lambda: self._storage.upload_file(str(path), self._bucket, key), TRANSFER_S
        )

    async def read(self, address: str) -> bytes | None:
        """Return the content of an object of any bucket; None if there is none."""
        bucket, key = split_address(address)

        async def call() -> bytes | None:
            try:
                answer = await self._storage.get_object(Bucket=bucket, Key=key)
            except exceptions.ClientError as error:
                if is_not_found(error):
                    return None
                raise
            async with answer["Body"] as body:
                content: bytes = await body.read()
            return content

        return await self._calls.call(call, TRANSFER_S)

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects that are there."""
        for key in keys:
            delete = self._storage.delete_object
            await self._calls.call(partial(delete, Bucket=self._bucket, Key=key))

    async def read_existing(self, address: str) -> bytes:
        """Return the content of an object.

        Raises:
            InvalidAnswerError: it is not there.
        """
        content = await self.read(address)
        if content is None:
            raise InvalidAnswerError(f"{address} is missing")
        return content
