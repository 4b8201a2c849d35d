"""A member of the consumer group, which starts again after trouble with Kafka."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from streamer.errors import KafkaError, TopicError
from streamer.features import FeatureSet
from streamer.flow.device_partitions import SplitDeviceReport
from streamer.flow.partition_state import PartitionState
from streamer.flow.unlabelled_devices import UnlabelledDevices
from streamer.health import Health
from streamer.kafka.aiokafka_internals import TopicState, read_topics, whole_batches
from streamer.kafka.client import client_options, connect, is_kafka_error
from streamer.kafka.event_formats import (
    EncodeEvent,
    make_event_decoder,
    open_event_encoder,
)
from streamer.kafka.fatal import explain_fatal
from streamer.kafka.lane_resources import LaneResources
from streamer.kafka.lanes import DRAIN_S, Lanes
from streamer.metrics import Metrics
from streamer.predict.models import Models
from streamer.settings import Settings

if TYPE_CHECKING:
    from streamer.predict.batch_predictor import BatchPredictor
    from streamer.storage.object_store import ObjectStore

log = structlog.get_logger(__name__)

LARGEST_FETCH: Final = 4 * 1024 * 1024
"""Bytes of a partition in one fetch: each fetch has its cost. As many more wait in the consumer."""

ENOUGH_BYTES: Final = 512 * 1024
LONGEST_WAIT_MS: Final = 30
"""The broker answers a fetch when it has so many bytes, or after this time. Every fetch costs some
milliseconds of a processor, so fetching less sooner would take longer."""

RESTART_S = 1.0
"""Pause before the Kafka clients are started again; twice as long after each failure in a row."""

LONGEST_RESTART_S: Final = 30.0

MOST_FAILURES: Final = 8
"""Restarts in a row without any progress, after which the process ends with an error."""

TOPIC_WAIT_S = 120.0
"""How long to wait for a topic that was deleted to be made again."""

TOPIC_POLL_S: Final = 0.5

STOP_S: Final = DRAIN_S + 3.0
"""How long it may take to commit, to leave the group and to close, once told to stop."""

CUT_OFF_S: Final = 2.0
"""How long a clean-up may wait before it is cut off too."""


class GroupMember:
    """Runs the partitions that the group assigns, until stopped or at their end."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        health: Health,
        models: Models,
        stopping: asyncio.Event,
        *,
        feature_set: FeatureSet,
        until_end: bool = False,
        ends: Mapping[TopicPartition, int] | None = None,
        batches: "BatchPredictor | None" = None,
    ) -> None:
        """Make a member that has not joined yet.

        Args:
            settings: those of the worker.
            metrics: counts what it does.
            health: shows how it is.
            models: are asked about windows.
            stopping: is set to end it.
            feature_set: the features that the predictor takes.
            until_end: end when the group has processed what was in the topic at the start.
            ends: with ``until_end``, where partitions end for it, if not where they end now.
            batches: predicts windows in batches instead of `models`; None where these are asked.
        """
        self._settings = settings
        self._metrics = metrics
        self._health = health
        self._models = models
        self._batches = batches
        self._feature_set = feature_set
        self._until_end = until_end
        self._split_devices = SplitDeviceReport(metrics, health.note_split_devices)
        self._unlabelled = UnlabelledDevices(metrics, health.unlabelled)
        self._ends = dict(ends or {}) if until_end else None
        self._stopping = stopping
        self._kept: dict[TopicPartition, PartitionState] = {}
        self._topic_id = ""
        self._window_store = open_window_store(settings)

    async def run(self) -> None:
        """Work; after trouble with Kafka start again from what is committed.

        Raises:
            KafkaError: starting again has not helped, or cannot help.
            RegistryError: the schema of the events cannot be registered.
            StreamerError: something must be corrected first.
        """
        encode = await asyncio.to_thread(open_event_encoder, self._settings)
        with ThreadPoolExecutor(1, "compute") as cpu:
            while not self._stopping.is_set():
                try:
                    await run_until_stopped(
                        self._stopping, self._session(cpu, encode), self._grace_s
                    )
                except Exception as error:
                    if not is_kafka_error(error):
                        raise
                    if fatal := explain_fatal(error, self._settings):
                        raise fatal from error
                    await self._pause(error)
                else:
                    return

    def _grace_s(self) -> float:
        # Without partitions there is nothing to commit.
        return STOP_S if self._health.connected else 0.0

    async def _pause(self, error: Exception) -> None:
        """Wait before the next start, or give up when starting again does not help."""
        health = self._health
        health.connected = False
        health.failures += 1
        if health.failures > MOST_FAILURES:
            raise KafkaError(
                f"no progress, though the Kafka clients were started again {MOST_FAILURES} times; "
                f"the last trouble was {error!r}"
            ) from error
        self._metrics.restarts.inc()
        pause_s = min(RESTART_S * 2 ** (health.failures - 1), LONGEST_RESTART_S)
        log.warning("trouble with Kafka, starting again", error=repr(error), pause_s=pause_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), pause_s)

    async def _session(self, cpu: Executor, encode: EncodeEvent) -> None:
        """Be a member of the group until something changes or fails."""
        settings = self._settings
        async with (
            connect(lambda: make_group_consumer(settings)) as consumer,
            connect(lambda: AIOKafkaAdminClient(**client_options(settings))) as admin,
        ):
            topics = await self._read_topics(admin)
            resources = LaneResources(
                settings,
                self._metrics,
                self._health,
                self._models,
                self._feature_set,
                encode,
                make_event_decoder(settings),
                consumer,
                admin,
                cpu,
                topics,
                self._was_recreated(topics),
                self._split_devices,
                self._unlabelled,
                self._window_store,
                self._batches,
            )
            if self._ends is not None:
                await self._note_ends(consumer, topics[settings.readings_topic])
            lanes = Lanes(resources, self._ends, self._kept)
            consumer.subscribe([settings.readings_topic], listener=lanes)
            try:
                await lanes.work(self._stopping)
            finally:
                await lanes.end()

    async def _read_topics(self, admin: AIOKafkaAdminClient) -> dict[str, TopicState]:
        """Return the topics, as soon as they are all there.

        Raises:
            TopicError: one is not there, and does not come back.
        """
        settings = self._settings
        names = {settings.readings_topic, *settings.output_topics}
        deadline = asyncio.get_running_loop().time() + TOPIC_WAIT_S
        said = False
        while missing := names - (topics := await read_topics(admin, sorted(names))).keys():
            if asyncio.get_running_loop().time() > deadline:
                raise TopicError(
                    f"the topic {min(missing)} does not exist at {settings.bootstrap_servers}; "
                    "`streamer topics create` creates it"
                )
            if not said:
                said = True
                log.error("a topic does not exist, waiting for it", topics=sorted(missing))
            self._health.missing_topics = sorted(missing)
            await asyncio.sleep(TOPIC_POLL_S)
        self._health.missing_topics = []
        return topics

    def _was_recreated(self, topics: Mapping[str, TopicState]) -> bool:
        """Return whether the readings' topic is another one than in the session before."""
        before, self._topic_id = self._topic_id, topics[self._settings.readings_topic].topic_id
        return before not in ("", self._topic_id)

    async def _note_ends(self, consumer: AIOKafkaConsumer, readings: TopicState) -> None:
        """Note where the partitions end that were not there before."""
        assert self._ends is not None
        topic = self._settings.readings_topic
        partitions = [TopicPartition(topic, number) for number in range(readings.partitions)]
        new = [partition for partition in partitions if partition not in self._ends]
        self._ends.update(await consumer.end_offsets(new))


def open_window_store(settings: Settings) -> "ObjectStore | None":
    """Open the store of windows that the settings name; None if they name none.

    Raises:
        InstallationError: pyarrow is not installed.
        StorageError: the address names no bucket.
    """
    if settings.store_features is None:
        return None
    from streamer.storage.open_store import open_store  # noqa: PLC0415 - seldom used
    from streamer.storage.window_files import require_parquet  # noqa: PLC0415 - seldom used

    require_parquet()
    return open_store(settings.store_features)


def make_group_consumer(settings: Settings) -> AIOKafkaConsumer:
    """Return a consumer that joins the group and leaves positions to us."""
    session_ms = int(settings.session_timeout_s * 1000)
    return AIOKafkaConsumer(
        **client_options(settings),
        group_id=settings.group_id,
        group_instance_id=settings.instance_id,
        enable_auto_commit=False,
        # A lane decides where its partition is taken up; out of range is an error for it to handle.
        auto_offset_reset="none",
        isolation_level="read_committed",
        # A wrong checksum is for the partition's lane to handle; `unpack` looks at it.
        check_crcs=False,
        value_deserializer=whole_batches,
        partition_assignment_strategy=[StickyPartitionAssignor],
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=min(1000, session_ms // 4),
        # An endpoint that does not answer must not cost us the partitions.
        max_poll_interval_ms=24 * 3600 * 1000,
        fetch_min_bytes=ENOUGH_BYTES,
        fetch_max_wait_ms=LONGEST_WAIT_MS,
        max_partition_fetch_bytes=LARGEST_FETCH,
    )


async def run_until_stopped(
    stopping: asyncio.Event,
    work: Coroutine[None, None, None],
    grace_s: Callable[[], float] = lambda: 0.0,
) -> None:
    """Do some work; cut it off when it has not ended so many seconds after the event."""
    task, stop = asyncio.create_task(work), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({task}, timeout=grace_s())
    finally:
        stop.cancel()
        while not task.done():
            # What is cut off cleans up, and may wait for a broker without end: an open transaction
            # is to be aborted, clients are to be closed.
            task.cancel()
            await asyncio.wait({task}, timeout=CUT_OFF_S)
    with contextlib.suppress(asyncio.CancelledError):
        await task
