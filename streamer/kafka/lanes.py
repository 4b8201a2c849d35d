"""Starts and stops the lanes of a group member, as the group assigns and revokes partitions."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from streamer.flow.partition_state import PartitionState
from streamer.kafka.aiokafka_internals import (
    abandon_group,
    check_group,
    member_id,
    read_topics,
)
from streamer.kafka.client import is_kafka_error
from streamer.kafka.fatal import InstanceTakenError, is_instance_taken
from streamer.kafka.lane import Lane
from streamer.kafka.lane_resources import LaneResources
from streamer.kafka.open_transactions import OpenTransactions
from streamer.kafka.positions import read_position
from streamer.kafka.resumption import Reset
from streamer.kafka.start import TopicChangedError

log = structlog.get_logger(__name__)

DRAIN_S: Final = 5.0
"""How long lanes may take to commit what they have when their partitions are revoked."""

LOOK_S: Final = 2.0
"""How often progress is looked at."""

ANSWER_S: Final = 5.0
"""How long Kafka may take to tell where the partitions end."""


class StarvedError(KafkaError):  # type: ignore[misc]
    """The consumer returns no records although there are some."""


class Lanes(ConsumerRebalanceListener):  # type: ignore[misc]
    """One lane for each partition that is assigned.

    The group revokes all partitions in every rebalance, so all lanes end and new ones begin. A lane
    that has committed everything leaves its state for the next lane of its partition.
    """

    def __init__(
        self,
        resources: LaneResources,
        ends: Mapping[TopicPartition, int] | None,
        kept: dict[TopicPartition, PartitionState],
    ) -> None:
        self._resources = resources
        self._health = resources.health
        self._member_id = ""
        self._ends = ends
        self._kept = kept
        self._running: dict[TopicPartition, tuple[Lane, asyncio.Task[None]]] = {}
        self._assigned = asyncio.Event()
        self._ended = False
        self._elsewhere: set[TopicPartition] = set()
        self._has_answered = True
        self._seen: dict[TopicPartition, tuple[int, int]] = {}
        self._transactions = OpenTransactions()
        self._failure: Exception | None = None

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:  # noqa: ARG002
        """Finish all lanes: nobody knows yet which partitions this member keeps."""
        self._assigned.clear()
        try:
            await self.drain()
            if not member_id(self._resources.consumer) and await self._is_instance_taken():
                self._failure = InstanceTakenError(self._resources.settings.instance_id)
                # If this member joined again, the group would remove the other worker.
                await abandon_group(self._resources.consumer)
        except Exception as error:  # noqa: BLE001 - aiokafka would log it and go on
            self._failure = error

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Start a lane for each partition.

        The group may assign partitions while the session ends. Such a lane would outlive its
        clients.
        """
        if self._ended:
            return
        self._member_id = member_id(self._resources.consumer)
        try:
            self._start(sorted(assigned))
        except Exception as error:  # noqa: BLE001 - aiokafka would log it and go on
            self._failure = error
        self._assigned.set()

    def _start(self, assigned: Sequence[TopicPartition]) -> None:
        resources, health = self._resources, self._health
        known = resources.topics[resources.settings.readings_topic].partitions
        if new := [partition.partition for partition in assigned if partition.partition >= known]:
            raise TopicChangedError(f"partitions {new} of the readings are new")
        kept = {partition: self._kept.get(partition) for partition in assigned}
        self._kept.clear()
        for partition in assigned:
            until = None if self._ends is None else self._ends[partition]
            lane = Lane(resources, partition, until, kept[partition])
            health.take_partition(partition.partition, lane.lag, resources.metrics)
            self._running[partition] = lane, asyncio.create_task(lane.run(), name=str(partition))
        resources.metrics.partitions.set(len(assigned))
        health.connected = True
        health.answered()
        health.recovering = {partition.partition for partition in assigned}
        log.info("assigned", partitions=[partition.partition for partition in assigned])
        if not assigned:
            log.warning("more workers than partitions: this worker waits until another one leaves")

    async def end(self) -> None:
        """End all lanes, and start no more."""
        self._ended = True
        await self.drain()

    async def drain(self) -> None:
        """Let every lane commit what it has and end; cancel those that cannot."""
        running, self._running = self._running, {}
        for lane, _ in running.values():
            lane.stop()
        tasks = [task for _, task in running.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=DRAIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for partition, (lane, task) in running.items():
            if lane.state is not None:
                self._kept[partition] = lane.state
            elif not task.cancelled() and (error := task.exception()):
                log.warning(
                    "a partition ended with uncommitted output; its next owner computes it again",
                    partition=f"{partition.topic}[{partition.partition}]",
                    error=repr(error),
                )
            self._health.forget_partition(partition.partition, self._resources.metrics)
        self._resources.metrics.partitions.set(0)
        self._health.recovering.clear()
        self._health.held.clear()

    async def work(self, stopping: asyncio.Event) -> None:
        """Watch the lanes until the worker is told to stop, or until the end of the topic.

        Raises:
            KafkaError: a lane had trouble with Kafka, a topic has changed, or the consumer gives no
                records though there are some.
            StreamerError: something must be corrected first.
        """
        stop = asyncio.create_task(stopping.wait())
        try:
            await self._wait_for_the_group(stop)
            while not stop.done():
                unfinished = self._unfinished()
                await asyncio.wait(
                    {stop, *unfinished}, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED
                )
                if self._assigned.is_set() and not self._unfinished() and await self._at_end():
                    return
                await self._look()
        except Exception as error:
            if is_kafka_error(error) and await self._is_instance_taken():
                raise InstanceTakenError(self._resources.settings.instance_id) from error
            raise
        finally:
            stop.cancel()

    async def _is_instance_taken(self) -> bool:
        resources = self._resources
        return await is_instance_taken(resources.admin, resources.settings, self._member_id)

    async def _wait_for_the_group(self, stop: asyncio.Task[bool]) -> None:
        assigned = asyncio.create_task(self._assigned.wait())
        await asyncio.wait({stop, assigned}, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        assigned.cancel()
        if not (self._assigned.is_set() or stop.done()):
            log.info(
                "waiting for partitions: other workers commit what they have before; the group "
                "keeps those of a worker that has died until its session times out",
                session_timeout_s=self._resources.settings.session_timeout_s,
            )

    def _unfinished(self) -> set[asyncio.Task[None]]:
        """Return the lanes that have not ended; raise the error of a lane or of the group."""
        if self._failure is not None:
            raise self._failure
        check_group(self._resources.consumer)
        tasks = {task for _, task in self._running.values()}
        for task in tasks:
            if task.done():
                task.result()
        return {task for task in tasks if not task.done()}

    async def _at_end(self) -> bool:
        """Return whether all partitions are processed to their end, those of other members too.

        If another member dies, its partitions may be assigned to this one.
        """
        if self._ends is None:
            return False
        resources, elsewhere = self._resources, set()
        others = list(self._ends.keys() - self._running.keys())
        for partition, begin in (await resources.consumer.beginning_offsets(others)).items():
            position = await read_position(resources.admin, resources.settings.group_id, partition)
            if max(begin, position.next if position else 0) < self._ends[partition]:
                elsewhere.add(partition)
        if elsewhere - self._elsewhere:
            log.info(
                "waiting for other members of the group to finish their partitions",
                partitions=sorted(partition.partition for partition in elsewhere),
            )
        self._elsewhere = elsewhere
        return not elsewhere

    async def _look(self) -> None:
        """Report progress to `Health`.

        Raises:
            TopicChangedError, TopicAuthorizationFailedError: a topic has changed, or is forbidden.
            StarvedError: the consumer returns no records although there are some.
        """
        health = self._health
        lanes = {partition: lane for partition, (lane, _) in self._running.items()}
        health.held = [lane.held for lane in lanes.values() if lane.held]
        working = {partition: lane for partition, lane in lanes.items() if not lane.held}
        health.recovering = {p.partition for p, lane in working.items() if not lane.ready}
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._look_at_topics()
                # A member without partitions asks too: whether Kafka answers is part of its state.
                any_partition = TopicPartition(self._resources.settings.readings_topic, 0)
                ends = await self._resources.consumer.end_offsets(list(lanes) or [any_partition])
        except (TopicChangedError, TopicAuthorizationFailedError):
            raise
        except (KafkaError, TimeoutError) as error:
            if self._has_answered:
                log.warning(
                    "Kafka does not answer: the worker waits, and nothing is lost",
                    error=repr(error),
                )
            self._has_answered = False
            health.no_progress()
            return
        if not self._has_answered:
            log.info("Kafka answers again")
        self._has_answered = True
        health.answered()
        for partition, lane in lanes.items():
            lane.lag.end_at(ends[partition])
        health.open_transactions = self._transactions.look(
            self._resources.consumer, {p: lane.source.next for p, lane in working.items()}
        )
        # Records that wait for an endpoint are read but not settled; a recovery settles none.
        seen = {
            partition: (lane.lag.reached, lane.source.next) for partition, lane in working.items()
        }
        behind = {p for p, lane in working.items() if lane.lag.reached < ends[p]}
        # A batch takes minutes; if it fails, the trouble of the endpoint says so.
        waiting = {partition for partition in behind if lanes[partition].waits_for_batches}
        if any(seen[partition] == self._seen.get(partition) for partition in behind - waiting):
            health.no_progress()
        elif behind <= self._seen.keys():
            health.progress()
        self._seen = seen
        now = time.monotonic()
        for partition in behind:
            source = working[partition].source
            since = source.waiting_since if source.next < ends[partition] else None
            if since is not None and now - since > health.patience_s:
                raise StarvedError(
                    f"no records of {partition} for {now - since:.0f} s, though there are"
                )

    async def _look_at_topics(self) -> None:
        """Compare the topics with what they were when the session began.

        Raises:
            TopicChangedError: one was deleted or made again, or has other partitions.
        """
        before, settings = self._resources.topics, self._resources.settings
        now = await read_topics(self._resources.admin, list(before))
        for name, state in before.items():
            found = now.get(name)
            if found == state:
                continue
            if found is None or found.topic_id != state.topic_id:
                if name == settings.readings_topic:
                    unread = sum(lane.lag.records() for lane, _ in self._running.values())
                    self._resources.metrics.records_lost.labels(Reset.TOPIC_RECREATED).inc(unread)
                what = "was deleted" if found is None else "was deleted and made again"
                raise TopicChangedError(f"the topic {name} {what}")
            raise TopicChangedError(
                f"the topic {name} has {found.partitions} partitions now, {state.partitions} before"
            )
