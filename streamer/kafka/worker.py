"""A worker: a member of the consumer group that starts again after any trouble with Kafka."""

import asyncio
import contextlib
from concurrent.futures import Executor, ThreadPoolExecutor

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from streamer.kafka.client import client_options, connected
from streamer.kafka.lane import Tools
from streamer.kafka.lanes import Lanes
from streamer.metrics import Metrics
from streamer.ops.health import Health
from streamer.pipeline import Stages
from streamer.predict.protocol import Predictor
from streamer.settings import Settings

log = structlog.get_logger(__name__)

RESTART_S = 1.0
"""Pause before the Kafka clients are started again."""


class Worker:
    """Runs the partitions that the group gives it, until stopped or at their end."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        health: Health,
        predictor: Predictor,
        *,
        until_end: bool = False,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._health = health
        self._predictor = predictor
        self._until_end = until_end
        self._ends: dict[TopicPartition, int] | None = None
        self._stopping = asyncio.Event()
        self._kept: dict[TopicPartition, Stages] = {}

    def stop(self) -> None:
        """Commit what is on its way, then end `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Work; after trouble with Kafka start again from what is committed."""
        with ThreadPoolExecutor(1, "compute") as cpu:
            while True:
                try:
                    await self._session(cpu)
                except BaseException as error:
                    if not is_kafka_trouble(error):
                        raise
                    log.warning("trouble with Kafka, starting again", error=repr(error))
                else:
                    return
                self._metrics.restarts.inc()
                self._health.connected = False
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), RESTART_S)

    async def _session(self, cpu: Executor) -> None:
        settings = self._settings
        async with (
            connected(lambda: group_member(settings)) as consumer,
            connected(lambda: AIOKafkaAdminClient(**client_options(settings))) as admin,
        ):
            tools = Tools(settings, self._metrics, self._predictor, consumer, admin, cpu)
            if self._until_end and self._ends is None:
                self._ends = await end_offsets(consumer, admin, settings.readings_topic)
            lanes = Lanes(tools, self._health, self._ends, self._kept)
            consumer.subscribe([settings.readings_topic], listener=lanes)
            try:
                await lanes.work(self._stopping)
            finally:
                await lanes.drain()


def group_member(settings: Settings) -> AIOKafkaConsumer:
    """A consumer that joins the group and leaves positions to us."""
    session_ms = int(settings.session_timeout_s * 1000)
    return AIOKafkaConsumer(
        **client_options(settings),
        group_id=settings.group_id,
        group_instance_id=settings.instance_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        partition_assignment_strategy=[StickyPartitionAssignor],
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=min(1000, session_ms // 4),
        # An endpoint that does not answer must not cost us the partitions.
        max_poll_interval_ms=24 * 3600 * 1000,
        fetch_max_wait_ms=50,
    )


async def end_offsets(
    consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, topic: str
) -> dict[TopicPartition, int]:
    """Where each partition of a topic ends now."""
    [described] = await admin.describe_topics([topic])
    partitions = [TopicPartition(topic, each["partition"]) for each in described["partitions"]]
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    return ends


def is_kafka_trouble(error: BaseException) -> bool:
    """Whether everything that went wrong went wrong between Kafka and us."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_kafka_trouble(part) for part in error.exceptions)
    return isinstance(error, KafkaError)
