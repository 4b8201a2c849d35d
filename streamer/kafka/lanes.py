"""The lanes of a group member, as the group gives it partitions and takes them away."""

import asyncio
import time
from collections.abc import Collection, Mapping

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from streamer.flow.stages import Stages
from streamer.health import Health
from streamer.kafka.lane import Lane, LaneResources
from streamer.kafka.positions import read_position

log = structlog.get_logger(__name__)

DRAIN_S = 5.0
"""How long lanes may take to commit what they have when their partitions go."""

LOOK_S = 2.0
"""How often progress is looked at."""

ANSWER_S = 5.0
"""How long Kafka may take to say how far the topic goes."""


class StarvedError(KafkaError):  # type: ignore[misc]
    """The consumer gives no records though there are some."""


class Lanes(ConsumerRebalanceListener):  # type: ignore[misc]
    """One lane for each partition that is ours.

    The group moves all partitions at every rebalance, so all lanes end and begin there. A lane
    that could commit everything before leaves its memory for the next one of its partition.
    """

    def __init__(
        self,
        resources: LaneResources,
        health: Health,
        ends: Mapping[TopicPartition, int] | None,
        kept: dict[TopicPartition, Stages],
    ) -> None:
        self._resources = resources
        self._health = health
        self._ends = ends
        self._kept = kept
        self._running: dict[TopicPartition, tuple[Lane, asyncio.Task[None]]] = {}
        self._assigned = asyncio.Event()
        self._elsewhere: set[TopicPartition] = set()
        self._seen: dict[TopicPartition, tuple[int, int]] = {}

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:  # noqa: ARG002
        """Finish everything: whose partitions they will be is not known yet."""
        self._assigned.clear()
        await self.drain()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Start a lane for each; they take their partitions over on their own."""
        kept = {partition: self._kept.get(partition) for partition in assigned}
        self._kept.clear()
        for partition in sorted(assigned):
            until = None if self._ends is None else self._ends[partition]
            lane = Lane(self._resources, partition, until, kept[partition])
            self._health.take_partition(partition.partition, lane.lag, self._resources.metrics)
            self._running[partition] = lane, asyncio.create_task(lane.run(), name=str(partition))
        self._resources.metrics.partitions.set(len(assigned))
        self._health.connected = True
        self._health.answered()
        self._health.recovering = {partition.partition for partition in assigned}
        log.info("assigned", partitions=sorted(p.partition for p in assigned))
        if not assigned:
            log.warning("more workers than partitions: this one waits until another leaves")
        self._assigned.set()

    async def drain(self) -> None:
        """Let every lane commit what it has and end; those that cannot are cut off."""
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
            if lane.stages is not None:
                self._kept[partition] = lane.stages
            elif not task.cancelled() and (error := task.exception()):
                log.warning("gave up uncommitted work", partition=partition, error=repr(error))
            self._health.forget_partition(partition.partition, self._resources.metrics)
        self._resources.metrics.partitions.set(0)
        self._health.recovering.clear()
        self._health.broken.clear()

    async def work(self, stopping: asyncio.Event) -> None:
        """Watch over the lanes until told to stop, or until the topic has come to its end.

        Raises:
            KafkaError: a lane had trouble with Kafka, or gets no records though there are some.
            StreamerError: something must be put right first.
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
        finally:
            stop.cancel()

    async def _wait_for_the_group(self, stop: asyncio.Task[bool]) -> None:
        assigned = asyncio.create_task(self._assigned.wait())
        await asyncio.wait({stop, assigned}, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        assigned.cancel()
        if not (self._assigned.is_set() or stop.done()):
            log.info(
                "waiting for the group to give us partitions; it keeps those of a worker that has "
                "died until the session timeout is over",
                session_timeout_s=self._resources.settings.session_timeout_s,
            )

    def _unfinished(self) -> set[asyncio.Task[None]]:
        """Lanes at work; raises what went wrong in the others."""
        tasks = {task for _, task in self._running.values()}
        for task in tasks:
            if task.done():
                task.result()
        return {task for task in tasks if not task.done()}

    async def _at_end(self) -> bool:
        """Whether the group is done with partitions that others have too, as our lanes are.

        Another member may have died with partitions in its hands: they come to us.
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
        """Tell `Health` whether records go through, and give up a consumer that has gone deaf."""
        health = self._health
        lanes = {partition: lane for partition, (lane, _) in self._running.items()}
        health.broken = [lane.broken for lane in lanes.values() if lane.broken]
        working = {partition: lane for partition, lane in lanes.items() if not lane.broken}
        health.recovering = {p.partition for p, lane in working.items() if not lane.ready}
        try:
            async with asyncio.timeout(ANSWER_S):
                # A member without partitions asks too: whether Kafka answers is part of its state.
                any_partition = TopicPartition(self._resources.settings.readings_topic, 0)
                ends = await self._resources.consumer.end_offsets(list(lanes) or [any_partition])
        except (KafkaError, TimeoutError) as error:
            log.warning("Kafka does not say how far the topic goes", error=repr(error))
            health.no_progress()
            return
        health.answered()
        for partition, lane in lanes.items():
            lane.lag.end_at(ends[partition])
        # What is read but waits for an endpoint is not through; a recovery reads, and settles none.
        seen = {
            partition: (lane.lag.reached, lane.source.next) for partition, lane in working.items()
        }
        behind = {p for p, lane in working.items() if lane.lag.reached < ends[p]}
        if any(seen[partition] == self._seen.get(partition) for partition in behind):
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
