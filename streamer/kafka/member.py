"""A worker: a member of the consumer group that starts again after any trouble with Kafka."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from streamer.errors import KafkaError
from streamer.flow.device_places import DevicePlaces
from streamer.flow.rejects import RejectLimit
from streamer.flow.stages import Stages
from streamer.health import Health
from streamer.kafka.aiokafka_internals import whole_batches
from streamer.kafka.client import client_options, connect, is_kafka_error
from streamer.kafka.lane import LaneResources
from streamer.kafka.lanes import DRAIN_S, Lanes
from streamer.metrics import Metrics
from streamer.predict.answers import Ask
from streamer.settings import Settings

log = structlog.get_logger(__name__)

LARGEST_FETCH = 4 * 1024 * 1024
"""Bytes of a partition at once: each fetch has its price. As many more wait in the consumer."""

ENOUGH_BYTES = 512 * 1024
LONGEST_WAIT_MS = 30
"""The broker answers a fetch when it has so much, or after this time. Every fetch costs some
milliseconds of a processor, so that fetching less sooner would take longer."""

RESTART_S = 1.0
"""Pause before the Kafka clients are started again; twice as long after each failure in a row."""

LONGEST_RESTART_S = 30.0

MOST_FAILURES = 8
"""Restarts in a row without any progress, after which the process had better be started anew."""

STOP_S = DRAIN_S + 3.0
"""How long it may take to commit, to leave the group and to close, once told to stop."""

CUT_OFF_S = 2.0
"""How long a clean-up may wait before it is cut off too."""


class GroupMember:
    """Runs the partitions that the group gives it, until stopped or at their end."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        health: Health,
        ask: Ask,
        stopping: asyncio.Event,
        *,
        until_end: bool = False,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._health = health
        self._ask = ask
        self._until_end = until_end
        self._limit = RejectLimit(
            settings.max_reject_share, settings.reject_window_s, time.monotonic
        )
        self._places = DevicePlaces(metrics)
        self._ends: dict[TopicPartition, int] | None = None
        self._stopping = stopping
        self._kept: dict[TopicPartition, Stages] = {}

    async def run(self) -> None:
        """Work; after trouble with Kafka start again from what is committed.

        Raises:
            KafkaError: starting again has not helped.
            StreamerError: something must be put right first.
        """
        with ThreadPoolExecutor(1, "compute") as cpu:
            while not self._stopping.is_set():
                try:
                    await run_until_stopped(self._stopping, self._session(cpu), self._grace_s)
                except Exception as error:
                    if not is_kafka_error(error):
                        raise
                    await self._pause(error)
                else:
                    return

    def _grace_s(self) -> float:
        # Without partitions there is nothing to commit.
        return STOP_S if self._health.connected else 0.0

    async def _pause(self, error: Exception) -> None:
        """Give Kafka time, and up when time does not help."""
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

    async def _session(self, cpu: Executor) -> None:
        settings = self._settings
        async with (
            connect(lambda: make_group_consumer(settings)) as consumer,
            connect(lambda: AIOKafkaAdminClient(**client_options(settings))) as admin,
        ):
            resources = LaneResources(
                settings, self._metrics, self._ask, self._limit, consumer, admin, cpu, self._places
            )
            if self._until_end and self._ends is None:
                self._ends = await end_offsets(consumer, admin, settings.readings_topic)
            lanes = Lanes(resources, self._health, self._ends, self._kept)
            consumer.subscribe([settings.readings_topic], listener=lanes)
            try:
                await lanes.work(self._stopping)
            finally:
                await lanes.drain()


def make_group_consumer(settings: Settings) -> AIOKafkaConsumer:
    """A consumer that joins the group and leaves positions to us."""
    session_ms = int(settings.session_timeout_s * 1000)
    return AIOKafkaConsumer(
        **client_options(settings),
        group_id=settings.group_id,
        group_instance_id=settings.instance_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
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


async def end_offsets(
    consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, topic: str
) -> dict[TopicPartition, int]:
    """Where each partition of a topic ends now."""
    [described] = await admin.describe_topics([topic])
    partitions = [TopicPartition(topic, each["partition"]) for each in described["partitions"]]
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    return ends


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
            # What is cut off cleans up, and may wait for a broker in doing so, for ever: an open
            # transaction is to be aborted, clients are to be closed.
            task.cancel()
            await asyncio.wait({task}, timeout=CUT_OFF_S)
    with contextlib.suppress(asyncio.CancelledError):
        await task
