"""Runs batch predictions of Amazon Machine Learning, and reads and writes their objects in S3.

Calls that fail for a reason that may pass are repeated without end: windows wait meanwhile. Ids of
data sources and batch predictions are chosen by the caller, so that a job is found again.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import stamina
import structlog
from botocore import exceptions

from streamer.errors import EndpointError
from streamer.predict import aws_client
from streamer.predict.batch_files import read_manifest
from streamer.predict.endpoint_protocol import (
    CallError,
    CallTimeoutError,
    InvalidAnswerError,
    RefusedError,
    RetryableError,
)

log = structlog.get_logger(__name__)

T = TypeVar("T")
Call = Callable[[], Awaitable[T]]

FIRST_RETRY_S: Final = 0.2
LONGEST_RETRY_S: Final = 30.0
JITTER_S: Final = 0.2
CALL_S: Final = 30.0
"""Longest time for a call of Amazon ML, which is not in a hurry."""
TRANSFER_S: Final = 600.0
"""Longest time for which an object of a batch is written or read."""
FIRST_POLL_S: Final = 0.25
LONGEST_POLL_S: Final = 10.0
"""Pauses between two questions about a job."""
FIRST_REPEAT_S = 30.0
LONGEST_REPEAT_S: Final = 3600.0
"""Pauses before a job that has failed is created again."""

_NOT_FOUND: Final = {"ResourceNotFoundException", "NoSuchKey", "404"}
_OVER: Final = {"FAILED", "DELETED"}


class Troubles:
    """Why batches do not go on; the first reason is reported, and None when there is none.

    Args:
        report: takes the reason, or None.
    """

    def __init__(self, report: Callable[[str | None], None]) -> None:
        self._report = report
        self._reasons: dict[object, str] = {}

    def note(self, batch: object, reason: str) -> None:
        """Note why a batch does not go on."""
        if not self._reasons:
            log.warning("batch predictions do not go on; their windows wait", trouble=reason)
        self._reasons[batch] = reason
        self._report(next(iter(self._reasons.values())))

    def clear(self, batch: object) -> None:
        """Note that a batch goes on."""
        if self._reasons.pop(batch, None) is None:
            return
        self._report(next(iter(self._reasons.values()), None))
        if not self._reasons:
            log.info("batch predictions go on again")


class AmazonMLJobs:
    """The batch predictions of one model, and the bucket with their objects.

    Args:
        service: client of Amazon ML.
        storage: client of S3.
        bucket: name of the bucket.
        model_id: id of the model.
        schema: of the objects with features.
        troubles: is told why jobs do not go on.
    """

    def __init__(
        self,
        service: Any,
        storage: Any,
        bucket: str,
        model_id: str,
        schema: str,
        troubles: Troubles,
    ) -> None:
        self._service = service
        self._storage = storage
        self._bucket = bucket
        self._model_id = model_id
        self._schema = schema
        self.troubles = troubles

    async def insist(self, call: Call[T], timeout_s: float = CALL_S) -> T:
        """Make a call until it is answered.

        Raises:
            EndpointError: no call can succeed before an operator corrects the set-up.
        """
        batch = object()

        def may_pass(error: Exception) -> bool:
            if isinstance(error, RetryableError):
                self.troubles.note(batch, str(error))
            return isinstance(error, RetryableError)

        try:
            async for attempt in stamina.retry_context(
                on=may_pass,
                attempts=None,
                timeout=None,
                wait_initial=FIRST_RETRY_S,
                wait_max=LONGEST_RETRY_S,
                wait_jitter=JITTER_S,
            ):
                with attempt:
                    return await self._call_once(call, timeout_s)
        except RefusedError as error:
            raise EndpointError(f"Amazon ML refuses a batch prediction: {error}") from error
        finally:
            self.troubles.clear(batch)
        raise AssertionError("the retries have ended without an answer")

    async def _call_once(self, call: Call[T], timeout_s: float) -> T:
        try:
            async with asyncio.timeout(timeout_s):
                return await call()
        except TimeoutError:
            raise CallTimeoutError(f"a call has taken longer than {timeout_s:g} s") from None
        except (CallError, EndpointError):
            raise
        except Exception as error:
            raise aws_client.classify_error(error) from error

    # Objects

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

        return sorted(await self._call_once(call, TRANSFER_S))

    async def list_objects(self, prefix: str) -> list[str]:
        """Return the keys of all objects with a prefix, sorted."""
        return await self.insist(lambda: self.list_once(prefix), TRANSFER_S)

    async def upload(self, path: Path, key: str) -> None:
        """Write an object with the content of a file."""
        await self.insist(
            lambda: self._storage.upload_file(str(path), self._bucket, key), TRANSFER_S
        )

    async def read_object(self, key: str, bucket: str | None = None) -> bytes | None:
        """Return the content of an object; None if there is none."""

        async def call() -> bytes | None:
            try:
                answer = await self._storage.get_object(Bucket=bucket or self._bucket, Key=key)
            except exceptions.ClientError as error:
                if _code(error) in _NOT_FOUND:
                    return None
                raise
            async with answer["Body"] as body:
                content: bytes = await body.read()
            return content

        return await self.insist(call, TRANSFER_S)

    async def delete_objects(self, keys: Sequence[str]) -> None:
        """Remove objects that are there."""
        for key in keys:
            delete = self._storage.delete_object
            await self.insist(partial(delete, Bucket=self._bucket, Key=key))

    # Jobs

    async def complete(self, name: str, data: str, output: str) -> dict[str, Any]:
        """Predict the records of an object; return the batch prediction once it is complete.

        A job that has failed is created again under another id, after a pause. A worker that
        starts anew creates it without a pause.

        Args:
            name: of the job, the same for the same records.
            data: key of the object with the records.
            output: prefix of the objects with the results.
        """
        pause_s = FIRST_REPEAT_S
        for attempt in itertools.count(1):
            job_id = f"{name}-{attempt}"
            if await self._is_over(job_id):
                continue
            found = await self._complete_once(job_id, data, output)
            if found["Status"] == "COMPLETED":
                break
            reason = (
                f"the batch prediction {job_id} has failed: "
                f"{found.get('Message') or found['Status']}; it is created again after "
                f"{pause_s:.0f} s, or when the worker starts again"
            )
            log.error("a batch prediction has failed", id=job_id, message=found.get("Message"))
            self.troubles.note(job_id, reason)
            try:
                await asyncio.sleep(pause_s)
            finally:
                self.troubles.clear(job_id)
            pause_s = min(2 * pause_s, LONGEST_REPEAT_S)
        return found

    async def find_results(self, job: dict[str, Any]) -> list[bytes]:
        """Return the files of the results of a complete batch prediction.

        Raises:
            InvalidAnswerError: one is missing, or the manifest is damaged.
        """
        folder = job["OutputUri"].rstrip("/").removeprefix("s3://").partition("/")[2]
        key = f"{folder}/batch-prediction/{job['BatchPredictionId']}.manifest"
        found = []
        for url in read_manifest(await self._read_existing(key)):
            bucket, _, name = url.removeprefix("s3://").partition("/")
            found.append(await self._read_existing(name, bucket))
        return found

    async def delete_jobs(self, name: str) -> None:
        """Remove the data sources and batch predictions of all attempts of a job."""
        for attempt in itertools.count(1):
            job_id = f"{name}-{attempt}"
            for get, delete, parameter in (
                ("get_batch_prediction", "delete_batch_prediction", "BatchPredictionId"),
                ("get_data_source", "delete_data_source", "DataSourceId"),
            ):
                found = await self._get(get, parameter, job_id)
                if found is None and parameter == "DataSourceId":
                    return
                if found is not None and found["Status"] != "DELETED":
                    call = getattr(self._service, delete)
                    await self.insist(partial(call, **{parameter: job_id}))

    async def _read_existing(self, key: str, bucket: str | None = None) -> bytes:
        content = await self.read_object(key, bucket)
        if content is None:
            raise InvalidAnswerError(f"s3://{bucket or self._bucket}/{key} is missing")
        return content

    async def _is_over(self, job_id: str) -> bool:
        """Return whether an attempt has failed before, or an operator has deleted it."""
        for get, parameter in (
            ("get_batch_prediction", "BatchPredictionId"),
            ("get_data_source", "DataSourceId"),
        ):
            found = await self._get(get, parameter, job_id)
            if found is not None and found["Status"] in _OVER:
                return True
        return False

    async def _complete_once(self, job_id: str, data: str, output: str) -> dict[str, Any]:
        """Create what is not there of a job, and return it when it is complete or has failed."""
        source = {
            "DataSourceId": job_id,
            "DataSourceName": job_id,
            "DataSpec": {
                "DataLocationS3": f"s3://{self._bucket}/{data}",
                "DataSchema": self._schema,
            },
            "ComputeStatistics": False,
        }
        found = await self._get("get_data_source", "DataSourceId", job_id)
        if found is None:
            await self.insist(lambda: self._service.create_data_source_from_s3(**source))
        found = await self._follow("get_data_source", "DataSourceId", job_id)
        if found["Status"] != "COMPLETED":
            return found
        batch = {
            "BatchPredictionId": job_id,
            "BatchPredictionName": job_id,
            "MLModelId": self._model_id,
            "BatchPredictionDataSourceId": job_id,
            "OutputUri": f"s3://{self._bucket}/{output}",
        }
        if await self._get("get_batch_prediction", "BatchPredictionId", job_id) is None:
            await self.insist(lambda: self._service.create_batch_prediction(**batch))
        return await self._follow("get_batch_prediction", "BatchPredictionId", job_id)

    async def _follow(self, get: str, parameter: str, job_id: str) -> dict[str, Any]:
        """Return a job when it has ended."""
        pause_s = FIRST_POLL_S
        while True:
            found = await self._get(get, parameter, job_id)
            if found is None:
                return {
                    "Status": "DELETED",
                    "Message": f"Amazon ML does not know {job_id} any more",
                }
            if found["Status"] == "COMPLETED" or found["Status"] in _OVER:
                return found
            await asyncio.sleep(pause_s)
            pause_s = min(1.5 * pause_s, LONGEST_POLL_S)

    async def _get(self, get: str, parameter: str, job_id: str) -> dict[str, Any] | None:
        """Return a data source or a batch prediction; None if there is none."""

        async def call() -> dict[str, Any] | None:
            try:
                found: dict[str, Any] = await getattr(self._service, get)(**{parameter: job_id})
            except exceptions.ClientError as error:
                if _code(error) in _NOT_FOUND:
                    return None
                raise
            return found

        return await self.insist(call)


def _code(error: exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
