"""Runs one partition in one worker: takes it over, rebuilds its state, processes its records."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka import TopicPartition

from streamer.errors import (
    CanaryError,
    ProcessingError,
    RejectsError,
    StreamerError,
    TopicError,
)
from streamer.flow.partition_state import PartitionState
from streamer.flow.pipeline import flow
from streamer.flow.record_failure import RecordsError
from streamer.flow.rejects import RejectLimit
from streamer.kafka import start
from streamer.kafka.attempts import (
    Attempts,
    advise_on_damage,
    advise_on_failure,
    describe_failure,
)
from streamer.kafka.client import flatten_causes, is_kafka_error
from streamer.kafka.fatal import RefusedOutputError
from streamer.kafka.lag import PartitionLag
from streamer.kafka.lane_resources import LaneResources
from streamer.kafka.partition_models import PartitionModels
from streamer.kafka.positions import read_position
from streamer.kafka.record_batches import DamagedBatchError
from streamer.kafka.sink import PartitionSink, open_sink
from streamer.kafka.source import PartitionSource
from streamer.stream.position import Position

if TYPE_CHECKING:
    from streamer.flow.batch_flow import BatchFlow

log = structlog.get_logger(__name__)

RETRY_S = 1.0
"""Pause before the second attempt; later ones are longer."""

LOOK_AGAIN_S: Final = 2.0
"""How often a held partition is looked at for a position that an operator has set."""


class Lane:
    """Runs a partition from assignment to revocation.

    Attributes:
        ready: whether the partition is taken over and its state is there.
        held: why nothing goes on here although the partition is still ours; None if it does.
        state: the partition's state, for the lane that continues where this one has stopped.
    """

    def __init__(
        self,
        resources: LaneResources,
        partition: TopicPartition,
        until: int | None,
        kept: PartitionState | None,
    ) -> None:
        self._resources = resources
        self._settings = resources.settings
        self._partition = partition
        self._name = f"{partition.topic}[{partition.partition}]"
        self._until_end = until is not None
        self._kept = kept
        self._limit = RejectLimit(
            self._settings.max_reject_share, self._settings.reject_window_s, time.monotonic
        )
        self._attempts = Attempts()
        self.lag = PartitionLag()
        self.source = PartitionSource(
            resources.metrics, resources.consumer, partition, until, self.lag
        )
        self._models = PartitionModels(
            resources.models, resources.metrics, partition.topic, partition.partition
        )
        self._batch_flow: BatchFlow | None = None
        self.ready = False
        self.held: str | None = None
        self.state: PartitionState | None = None

    @property
    def waits_for_batches(self) -> bool:
        """Whether windows wait for the results of a batch, which takes minutes."""
        return self._batch_flow is not None and self._batch_flow.waits

    def stop(self) -> None:
        """Finish what was fetched, then end."""
        self.source.stop()

    async def run(self) -> None:
        """Run the partition until it ends.

        When our own code fails on records, they are tried again from the committed position, a
        few at a time, so that the one at fault is found. What fails again holds the partition
        there: skipping records would lose data.

        Raises:
            KafkaError: there is trouble with Kafka; aiokafka's or ours.
            StreamerError: something must be corrected first.
        """
        # Lines of what runs here name the partition, also where the code knows none.
        structlog.contextvars.bind_contextvars(partition=self._name)
        while not self.source.stopping.is_set():
            try:
                await self._run()
            except Exception as error:  # noqa: BLE001 - raised again if it is not ours
                await self._handle(error)
            else:
                if self.source.damage is not None:
                    await self._handle_damage(self.source.damage)
                elif not self.source.overtaken:
                    return

    async def _handle(self, error: Exception) -> None:
        """Pause before the next attempt or hold the partition; or raise what is not for us."""
        causes = flatten_causes(error)
        self.ready = False
        for cause in causes:
            if isinstance(cause, RejectsError) and not self._until_end:
                await self._hold(str(cause))
                return
            if isinstance(cause, CanaryError):
                # The committed position is from before all that it has decided since.
                self._models.withdraw_canary(cause)
                return
            if isinstance(cause, StreamerError):
                raise cause from None
        for cause in causes:
            if isinstance(cause, RefusedOutputError):
                problem = cause.advise(self._name, self._settings)
                if self._until_end:
                    raise TopicError(problem)
                await self._hold(problem, partial(cause.read_causes, self._resources.admin))
                return
        if is_kafka_error(error):
            raise error
        failures = [cause for cause in causes if isinstance(cause, RecordsError)]
        failed = min(failures, key=lambda failure: failure.first, default=None)
        self._attempts.fail(failed, self.source.next)
        cause = (failed.__cause__ if failed else None) or causes[0]
        problem = describe_failure(self._name, failed, cause)
        log.error(
            "processing has failed", problem=problem, attempt=self._attempts.count, exc_info=cause
        )
        if failed is not None:
            self.source.narrow(failed.first, failed.last, self._attempts.next_size(failed))
        await self._try_again(problem, advise_on_failure(self._partition.partition, failed))

    async def _handle_damage(self, damage: DamagedBatchError) -> None:
        """Fetch a damaged batch again, in case it was damaged on its way, or hold the partition."""
        self.ready = False
        self._attempts.fail(RecordsError(damage.first, damage.last), self.source.next)
        problem = f"{self._name}: {damage}"
        log.error("a record batch is damaged", problem=problem, attempt=self._attempts.count)
        await self._try_again(problem, advise_on_damage(self._partition.partition, damage))

    async def _try_again(self, problem: str, advice: str) -> None:
        """Pause before the next attempt, or hold the partition after the last one.

        Raises:
            ProcessingError: it was the last one, and the worker is to end at the end of the log.
        """
        if not self._attempts.are_over:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.source.stopping.wait(), self._attempts.count * RETRY_S)
        elif self._until_end:
            raise ProcessingError(f"{problem}. {advice}")
        else:
            await self._hold(f"{problem}. {advice}")

    async def _hold(
        self, problem: str, look: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        """Hold the partition until an operator has set another position, or until the end.

        Args:
            problem: why, and what to do.
            look: returns what an operator can change besides, to mend the problem.
        """

        async def look_at_all() -> object:
            return await self._read_position(), await look() if look else None

        before = await look_at_all()
        self.held = problem
        log.error("partition held", partition=self._name, problem=problem)
        while not self.source.stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.source.stopping.wait(), LOOK_AGAIN_S)
                return
            if await look_at_all() != before:
                log.info("the cause may be mended, trying again", partition=self._name)
                self.held, self._attempts = None, Attempts()
                return

    async def _run(self) -> None:
        """Take the partition over, and run it."""
        self.source.begin_anew()
        resources = self._resources
        if problem := start.name_missing_outputs(resources, self._partition):
            if self._until_end:
                raise TopicError(problem)
            await self._hold(problem)
            return
        kept, self._kept = self._kept, None
        async with open_sink(
            self._settings,
            resources.metrics,
            self._partition,
            resources.consumer,
            self.lag,
            resources.encode_event,
        ) as sink:
            position = await start.find_start(resources, self._partition)
            self.lag.start_at(position.next, position.low)
            self.source.skipped = position.skipped
            # A kept state has no windows that wait to be stored.
            if kept is not None and kept.position == position and position.stored is None:
                state = kept
            else:
                state = PartitionState(
                    self._settings,
                    resources.metrics,
                    position,
                    self._limit,
                    resources.feature_set,
                    record_devices=partial(
                        resources.split_devices.record, self._partition.partition
                    ),
                    record_outcomes=resources.unlabelled.record,
                    record_events=resources.models.record_events,
                )
                await start.recover_state(resources, self._partition, self.source, state, position)
            await self._models.look(position)
            if not self.source.stopped:
                self.source.seek(position.next)
                await self._flow_and_store(state, sink, position)

    async def _flow_and_store(
        self, state: PartitionState, sink: PartitionSink, position: Position
    ) -> None:
        if self._resources.window_store is None:
            await self._flow(state, sink)
            return
        from streamer.kafka.window_writer import store_windows  # noqa: PLC0415 - seldom used

        async with store_windows(self._resources, self._partition.partition, state, sink, position):
            await self._flow(state, sink)

    async def _flow(self, state: PartitionState, sink: PartitionSink) -> None:
        resources = self._resources
        state.take_over()
        self.ready = True
        try:
            await self._choose_flow(state, sink)
            if not self.source.cut_off:
                self.state = state
        finally:
            # In the thread that computes: if the flow was cut off, a fetch may still be there.
            loop = asyncio.get_running_loop()
            await asyncio.shield(loop.run_in_executor(resources.cpu, state.hand_over))

    async def _choose_flow(self, state: PartitionState, sink: PartitionSink) -> None:
        resources, source = self._resources, self.source
        choose_models = self._models.chooser(state)
        if resources.batches is None:
            await flow(source, state, choose_models, sink, resources.metrics, resources.cpu)
            return
        # The model of Amazon ML stays the same while the worker runs.
        choose_models()
        topic, number = self._partition
        batches = resources.batches.open_partition(topic, state.position.topic_id, number)
        interval_s = resources.batches.interval_s
        from streamer.flow.batch_flow import BatchFlow  # noqa: PLC0415 - few workers have one

        self._batch_flow = BatchFlow(
            source, state, batches, interval_s, sink, resources.metrics, resources.cpu
        )
        await self._batch_flow.run()

    async def _read_position(self) -> Position | None:
        return await read_position(self._resources.admin, self._settings.group_id, self._partition)
