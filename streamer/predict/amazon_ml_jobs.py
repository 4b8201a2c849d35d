"""Runs batch predictions of Amazon Machine Learning.

Ids of data sources and batch predictions are chosen by the caller, so that a job is found again.
"""

import asyncio
import itertools
from functools import partial
from typing import Any, Final

import structlog
from botocore import exceptions

from streamer.predict.batch_files import read_manifest
from streamer.predict.batch_objects import BatchObjects
from streamer.predict.retried_calls import RetriedCalls, is_not_found

log = structlog.get_logger(__name__)

FIRST_POLL_S: Final = 0.25
LONGEST_POLL_S: Final = 10.0
"""Pauses between two questions about a job."""
FIRST_REPEAT_S = 30.0
LONGEST_REPEAT_S: Final = 3600.0
"""Pauses before a job that has failed is created again."""

_OVER: Final = {"FAILED", "DELETED"}


class AmazonMLJobs:
    """The batch predictions of one model.

    Args:
        service: client of Amazon ML.
        calls: makes the calls, each one until it is answered.
        objects: the bucket with the features and the results.
        model_id: id of the model.
        schema: of the objects with features.
    """

    def __init__(
        self,
        service: Any,
        calls: RetriedCalls,
        objects: BatchObjects,
        model_id: str,
        schema: str,
    ) -> None:
        self._service = service
        self._calls = calls
        self._objects = objects
        self._model_id = model_id
        self._schema = schema

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
            self._calls.troubles.note(job_id, reason)
            try:
                await asyncio.sleep(pause_s)
            finally:
                self._calls.troubles.clear(job_id)
            pause_s = min(2 * pause_s, LONGEST_REPEAT_S)
        return found

    async def find_results(self, job: dict[str, Any]) -> list[bytes]:
        """Return the files of the results of a complete batch prediction.

        Raises:
            InvalidAnswerError: one is missing, or the manifest is damaged.
        """
        folder = job["OutputUri"].rstrip("/")
        manifest = f"{folder}/batch-prediction/{job['BatchPredictionId']}.manifest"
        files = read_manifest(await self._objects.read_existing(manifest))
        return [await self._objects.read_existing(file) for file in files]

    async def delete(self, name: str) -> None:
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
                    await self._calls.call(partial(call, **{parameter: job_id}))

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
                "DataLocationS3": self._objects.address(data),
                "DataSchema": self._schema,
            },
            "ComputeStatistics": False,
        }
        found = await self._get("get_data_source", "DataSourceId", job_id)
        if found is None:
            await self._calls.call(lambda: self._service.create_data_source_from_s3(**source))
        found = await self._follow("get_data_source", "DataSourceId", job_id)
        if found["Status"] != "COMPLETED":
            return found
        batch = {
            "BatchPredictionId": job_id,
            "BatchPredictionName": job_id,
            "MLModelId": self._model_id,
            "BatchPredictionDataSourceId": job_id,
            "OutputUri": self._objects.address(output),
        }
        if await self._get("get_batch_prediction", "BatchPredictionId", job_id) is None:
            await self._calls.call(lambda: self._service.create_batch_prediction(**batch))
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
                if is_not_found(error):
                    return None
                raise
            return found

        return await self._calls.call(call)
