"""Predicts windows in batches with Amazon Machine Learning: features and results are in S3.

A batch has one object of features. Its key says which records have closed the windows, and has a
digest of the windows, the records and the model::

    PREFIX/GROUP/TOPIC/TOPIC ID/PARTITION/FIRST-END-DIGEST.csv
    PREFIX/GROUP/TOPIC/TOPIC ID/PARTITION/FIRST-END-DIGEST/batch-prediction/...    the results

The object is stored before anything is paid for. A worker that takes the partition up lists the
keys and ends its batches at the same records, so their digests are the same, and so are the ids of
their jobs.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from io import BytesIO
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import structlog

from streamer.arrays import Floats
from streamer.errors import EndpointError
from streamer.metrics import Metrics
from streamer.model.identity import ModelIdentity
from streamer.predict.amazon_ml_jobs import AmazonMLJobs
from streamer.predict.answers import Answers, Origin, Scored
from streamer.predict.batch_files import (
    FeatureFile,
    find_features,
    order_scores,
    read_results,
    tag_windows,
)
from streamer.predict.batch_objects import BatchObjects
from streamer.predict.batch_predictor import BatchAnswers
from streamer.predict.endpoint_protocol import CallError, InvalidAnswerError, check_prediction
from streamer.predict.retried_calls import Troubles

log = structlog.get_logger(__name__)

NAME: Final = "amazon-ml-batch"
"""The kind of predictor, as events name it."""
READINGS: Final = 5
"""How often results that are not complete are read, before an operator is asked to look."""
FIRST_READING_S: Final = 1.0
"""Pause after the first reading; twice as long after each one."""

_KEY: Final = re.compile(r"(\d{20})-(\d{20})-([0-9a-f]{32})(\.csv|/.*)")


class _Plan(NamedTuple):
    """What a key says: the records of a batch, and its digest."""

    first: int
    end: int
    digest: str


class AmazonMLBatches:
    """A model of Amazon ML that predicts in batches.

    Args:
        jobs: runs the jobs.
        objects: of the batches.
        troubles: is told why batches do not go on.
        model: identity of the model.
        prefix: of all keys, empty or with a slash at its end.
        interval_s: how long a batch collects windows.
        clean_up: whether to remove what is consumed.
        metrics: counts the batches that wait.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        jobs: AmazonMLJobs,
        objects: BatchObjects,
        troubles: Troubles,
        model: ModelIdentity,
        prefix: str,
        interval_s: float,
        clean_up: bool,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jobs = jobs
        self.objects = objects
        self.troubles = troubles
        self.model = model
        self.interval_s = interval_s
        self.cleans_up = clean_up
        self._prefix = prefix
        self._clock = clock
        self._waiting: dict[object, float] = {}
        metrics.batches_waiting.set_function(lambda: len(self._waiting))
        metrics.oldest_batch.set_function(self._measure_oldest)

    def open_partition(self, topic: str, topic_id: str, partition: int) -> "AmazonMLPartition":
        """Return the batches of a partition."""
        return AmazonMLPartition(self, f"{self._prefix}{topic}/{topic_id or '-'}/{partition}/")

    def begin_waiting(self, batch: object) -> None:
        """Count a batch as waiting."""
        self._waiting[batch] = self._clock()

    def end_waiting(self, batch: object) -> None:
        """Count a batch as waiting no more."""
        self._waiting.pop(batch, None)

    def _measure_oldest(self) -> float:
        return self._clock() - min(self._waiting.values()) if self._waiting else 0.0


class AmazonMLPartition:
    """The batches of one partition."""

    def __init__(self, batches: AmazonMLBatches, folder: str) -> None:
        self.batches = batches
        self.folder = folder
        self.plans: set[_Plan] = set()

    async def find(self, next_offset: int) -> None:
        """List the batches that were stored before, and remove those before a position."""
        keys = await self.batches.objects.list(self.folder)
        found = [(_parse_key(key.removeprefix(self.folder)), key) for key in keys]
        self.plans = {
            plan
            for plan, key in found
            if plan is not None and plan.first >= next_offset and key.endswith(".csv")
        }
        if self.plans:
            log.info("batches of a worker before this one are found again", number=len(self.plans))
        if self.batches.cleans_up:
            old = {plan for plan, _ in found if plan is not None and plan.first < next_offset}
            for plan in sorted(old):
                await self.remove(plan, [key for other, key in found if other == plan])

    def begin(self, first: int) -> "AmazonMLBatch":
        """Begin a batch with the record ``first``."""
        # A batch without windows is not stored, so it ends where the next one begins.
        ends = [plan.end for plan in self.plans if plan.first == first]
        ends += [plan.first for plan in self.plans if plan.first > first]
        return AmazonMLBatch(self, first, min((e for e in ends if e > first), default=None))

    async def remove(self, plan: _Plan, keys: Sequence[str]) -> None:
        """Remove the jobs of a batch, and its objects at last: they lead to the jobs."""
        objects = self.batches.objects
        await self.batches.jobs.delete(_job_name(plan))
        await objects.delete([key for key in keys if not key.endswith(".csv")])
        await objects.delete([key for key in keys if key.endswith(".csv")])


class AmazonMLBatch:
    """One batch; see `batch_predictor.Batch`."""

    def __init__(self, partition: AmazonMLPartition, first: int, planned_end: int | None) -> None:
        self.planned_end = planned_end
        self._partition = partition
        self._batches = partition.batches
        self._first = first
        self._file: FeatureFile | None = None
        self._plan: _Plan | None = None

    def add(self, window_ids: Sequence[str], features: Floats) -> None:
        """Add windows with their features (n, features)."""
        if self._file is None:
            self._file = FeatureFile()
        try:
            self._file.add(window_ids, features)
        except OSError as error:
            raise EndpointError(
                f"the features of a batch cannot be written to {self._file.path}: "
                f"{error.strerror}; free space, or set TMPDIR to another disk"
            ) from error

    async def store(self, end: int) -> None:
        """Store the object, unless it is there."""
        assert self._file is not None
        self._batches.begin_waiting(self)
        lines = self._file.complete()
        about = f"{self._partition.folder} {self._first} {end} {self._batches.model.id}"
        digest = blake2b(lines + about.encode(), digest_size=16).hexdigest()
        self._plan = _Plan(self._first, end, digest)
        if self._plan in self._partition.plans:
            log.info("a batch that was stored before goes on", key=self._key)
        else:
            await self._batches.objects.upload(self._file.path, self._key)
        self._file.remove()

    async def predict(self, list_windows: Callable[[], Sequence[str]]) -> BatchAnswers:
        """Run the job and read its results, again if they are not complete.

        Raises:
            EndpointError: the results stay incomplete, or the set-up is wrong.
        """
        assert self._plan is not None
        jobs = self._batches.jobs
        job = await jobs.complete(_job_name(self._plan), self._key, f"{self._stem}/")
        pause_s = FIRST_READING_S
        try:
            for reading in range(1, READINGS + 1):
                try:
                    files = await jobs.find_results(job)
                    return await self._read(files, await asyncio.to_thread(list_windows), job)
                except InvalidAnswerError as error:
                    problem = (
                        f"the results of the batch prediction {job['BatchPredictionId']} in "
                        f"{job['OutputUri']} cannot be used: {error}"
                    )
                    self._batches.troubles.note(self, problem)
                if reading < READINGS:
                    await asyncio.sleep(pause_s)
                    pause_s *= 2
        finally:
            self._batches.troubles.clear(self)
        raise EndpointError(
            f"{problem}. Restore the objects, or delete the batch prediction "
            "(aws machinelearning delete-batch-prediction --batch-prediction-id "
            f"{job['BatchPredictionId']}): then it is made again, and paid for again. Then start "
            "the worker"
        )

    async def clean_up(self) -> None:
        """Remove the object, the results and the job. What is left is removed at a later start."""
        self._batches.end_waiting(self)
        if self._plan is None or not self._batches.cleans_up:
            return
        try:
            keys = await self._batches.objects.list(self._stem)
            await self._partition.remove(self._plan, keys)
        except (CallError, EndpointError) as error:
            log.warning("objects of a batch were not removed", key=self._key, error=str(error))

    def discard(self) -> None:
        """Remove the file of this process; the batch waits no more."""
        self._batches.end_waiting(self)
        if self._file is not None:
            self._file.remove()

    @property
    def _stem(self) -> str:
        assert self._plan is not None
        first, end, digest = self._plan
        return f"{self._partition.folder}{first:020d}-{end:020d}-{digest}"

    @property
    def _key(self) -> str:
        return f"{self._stem}.csv"

    async def _read(
        self, files: Sequence[bytes], window_ids: Sequence[str], job: dict[str, object]
    ) -> BatchAnswers:
        """Read the results. Windows that Amazon ML counts as invalid are refused.

        Raises:
            InvalidAnswerError: results are missing.
        """
        model, count = self._batches.model, len(window_ids)
        # In threads: a batch may have 200,000 windows.
        scores = await asyncio.to_thread(_read_scores, files, model.labels)
        tags = await asyncio.to_thread(tag_windows, window_ids)
        invalid = int(str(job.get("InvalidRecordCount") or 0))
        if len(scores) + invalid != count or not scores:
            raise InvalidAnswerError(
                f"there are results of {len(scores)} of {count} windows, and {invalid} are invalid"
            )
        rows, values = await asyncio.to_thread(order_scores, tags, scores)
        prediction = check_prediction(values, model, len(rows))
        missing = {tags[row]: row for row in sorted(set(range(count)) - set(rows))}
        features = {}
        if missing:
            objects = self._batches.objects
            stored = await objects.read(objects.address(self._key))
            features = await asyncio.to_thread(find_features, BytesIO(stored or b""), missing)
        if len(features) < len(missing):
            raise InvalidAnswerError(f"{self._key} is missing or cut off")
        scored = Scored(np.array(rows, np.int64), prediction, NAME, Origin.ENDPOINT)
        words = f"Amazon ML counts the record as invalid, in {job['BatchPredictionId']}"
        return BatchAnswers(Answers(count, [scored], dict.fromkeys(features, words)), features)


def _read_scores(files: Sequence[bytes], labels: Sequence[str]) -> dict[str, list[float]]:
    """Return the scores of each window by its tag; see `read_results`."""
    return dict(chain.from_iterable(read_results(content, labels) for content in files))


def _parse_key(key: str) -> _Plan | None:
    """Return what a key below the folder of a partition says; None for a key that is not ours."""
    found = _KEY.fullmatch(key)
    return _Plan(int(found[1]), int(found[2]), found[3]) if found else None


def _job_name(plan: _Plan) -> str:
    return f"streamer-{plan.digest}"
