"""Notices transactions in the readings that their producers leave open.

A consumer of committed records reads no further than the first open transaction of a partition, so
everything after it waits, whoever has sent it.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

log = structlog.get_logger(__name__)

PATIENCE_S: Final = 10.0
"""How long a transaction may be open before it is worth a word."""


class OpenTransactions:
    """The partitions that wait for the end of a transaction."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since_s: dict[TopicPartition, float] = {}
        self._said: set[TopicPartition] = set()

    def look(
        self, consumer: AIOKafkaConsumer, following: Mapping[TopicPartition, int]
    ) -> list[str]:
        """Return what waits for longer than `PATIENCE_S`, and log what begins to.

        Args:
            consumer: of the partitions.
            following: the record that each partition is to fetch next.
        """
        now_s = self._clock()
        waiting = {p for p, at in following.items() if _is_blocked(consumer, p, at)}
        self._since_s = {p: self._since_s.get(p, now_s) for p in waiting}
        self._said &= waiting
        found = []
        for partition in sorted(waiting):
            open_s = now_s - self._since_s[partition]
            if open_s < PATIENCE_S:
                continue
            behind = consumer.highwater(partition) - following[partition]
            name = f"{partition.topic}[{partition.partition}]"
            found.append(
                f"{behind} records of {name} wait for a transaction that a producer has left open "
                f"at offset {following[partition]} for {open_s:.0f} s"
            )
            if partition not in self._said:
                self._said.add(partition)
                log.warning(
                    "readings wait for a transaction that a producer has left open: find the "
                    "producer with kafka-transactions.sh and end it, or wait for its timeout",
                    partition=name,
                    offset=following[partition],
                    waiting=behind,
                )
        return found


def _is_blocked(consumer: AIOKafkaConsumer, partition: TopicPartition, following: int) -> bool:
    stable, end = consumer.last_stable_offset(partition), consumer.highwater(partition)
    return stable is not None and end is not None and stable <= following < end
