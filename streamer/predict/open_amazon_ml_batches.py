"""Opens a model of Amazon Machine Learning that predicts in batches, and the bucket for them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from streamer.errors import EndpointError, SettingsError, StorageError
from streamer.metrics import Metrics
from streamer.model.identity import ModelIdentity
from streamer.predict import aws_client
from streamer.predict.amazon_ml_batches import AmazonMLBatches
from streamer.predict.amazon_ml_client import find_model, identify_version
from streamer.predict.amazon_ml_jobs import AmazonMLJobs
from streamer.predict.batch_files import make_schema
from streamer.predict.batch_objects import BatchObjects
from streamer.predict.endpoint_protocol import CallError
from streamer.predict.retried_calls import CALL_S, RetriedCalls, Troubles
from streamer.settings import Settings
from streamer.storage.s3_address import split_folder

CONNECTIONS: Final = 10
READ_S: Final = 60.0
"""Longest time for which a part of an answer of S3 may take."""


@asynccontextmanager
async def open_amazon_ml_batches(
    settings: Settings, metrics: Metrics, on_trouble: Callable[[str | None], None]
) -> AsyncIterator[AmazonMLBatches]:
    """Open a model of Amazon ML, and the bucket for its batches.

    Raises:
        EndpointError: the model or the bucket does not exist, or access to it is denied.
        SettingsError: the SDK lacks a setting.
    """
    assert settings.endpoint is not None
    assert settings.batch_location is not None
    try:
        bucket, folder = split_folder(settings.batch_location)
    except StorageError as error:
        raise SettingsError(f"batch_location: {error}") from None
    prefix = f"{folder}{settings.group_id}/"
    async with (
        aws_client.open_client("machinelearning", CONNECTIONS, CALL_S) as service,
        aws_client.open_client("s3", CONNECTIONS, READ_S) as storage,
    ):
        troubles = Troubles(on_trouble)
        calls = RetriedCalls(troubles)
        objects = BatchObjects(storage, bucket, calls)
        schema = make_schema(settings.endpoint_variable)
        jobs = AmazonMLJobs(service, calls, objects, settings.endpoint, schema)
        version = ""
        # If Amazon ML or S3 is down now, the calls wait for it later.
        with suppress(CallError, TimeoutError):
            async with asyncio.timeout(CALL_S):
                version = identify_version(await find_model(service, settings.endpoint))
        with suppress(CallError):
            await _check_bucket(objects, prefix, settings.batch_location)
        activities = settings.activities
        model = ModelIdentity(
            settings.endpoint, version, tuple(activities), tuple(activities.values())
        )
        yield AmazonMLBatches(
            jobs,
            objects,
            troubles,
            model,
            prefix,
            settings.batch_interval_s,
            settings.batch_clean_up,
            metrics,
        )


async def _check_bucket(objects: BatchObjects, prefix: str, location: str) -> None:
    """Check that the bucket may be listed.

    Raises:
        CallError: S3 does not answer now.
        EndpointError: the bucket does not exist, or access to it is denied.
    """
    try:
        await objects.list_once(prefix)
    except EndpointError as error:
        raise EndpointError(
            f"batch_location: {location} cannot be used: {error}; the worker needs s3:ListBucket, "
            "s3:GetObject, s3:PutObject and s3:DeleteObject there, and Amazon ML needs the first "
            "three"
        ) from error
