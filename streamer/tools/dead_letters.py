"""Reads the dead-letter topic: letters, and receipts for letters that were put back.

A receipt is written after its letter, into the same partition and in the same transaction as the
reading that goes back. The letters that still wait are therefore known exactly, also after an
interrupted or a repeated run. Kafka deletes the oldest records first, so no receipt is deleted
before its letter.

The topic may be large, so it is read as a stream.
"""

import heapq
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiokafka import TopicPartition

from streamer.contracts import dead_letters as names
from streamer.errors import DataError
from streamer.kafka.reader import open_reader, read_to_end
from streamer.kafka.record_batches import DamagedBatchError
from streamer.kafka.topic_records import TopicRecord, warn_of_damage
from streamer.settings import Settings

REPLAYED_FROM = "streamer-replayed-from"
"""On a reading that was put back: dead-letter topic, partition and offset of its letter."""
RECEIPT = "streamer-replayed"
"""On a receipt: the offset of the letter, which is in the same partition. Decimal digits."""

PATIENCE_S = 10.0

_MOST_DIGITS: Final = 20

_OURS = {
    names.ORIGIN_TOPIC,
    names.ORIGIN_PARTITION,
    names.ORIGIN_OFFSET,
    names.REASON,
    names.DETAIL,
}

Headers = list[tuple[str, bytes | None]]


class LetterId(NamedTuple):
    """The place of a letter in the dead-letter topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "LetterId":
        """Read what `str` writes.

        Raises:
            ValueError: the text is not a letter id.
        """
        partition, _, offset = text.partition(":")
        if not (text.isascii() and partition.isdigit() and offset.isdigit()):
            raise ValueError(f"{text!r} is not PARTITION:OFFSET, such as 0:17")
        return cls(int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class Letter:
    """A rejected record with its reason."""

    id: LetterId
    timestamp_ms: int
    """When it was refused."""
    key: bytes | None
    value: bytes | None
    headers: Headers
    """Those of the record, without ours."""
    topic: str
    """Where it was read from."""
    origin: LetterId
    """Where it was in that topic."""
    reason: str
    detail: str

    @classmethod
    def of(cls, record: TopicRecord) -> "Letter | None":
        """Return the letter that a record of the topic is; None for another record."""
        said = {name: value or b"" for name, value in record.headers if name in _OURS}
        try:
            place = said[names.ORIGIN_PARTITION] + b":" + said[names.ORIGIN_OFFSET]
            return cls(
                id=LetterId(record.partition, record.offset),
                timestamp_ms=record.timestamp,
                key=record.key,
                value=record.value,
                headers=[(name, value) for name, value in record.headers if name not in _OURS],
                topic=said[names.ORIGIN_TOPIC].decode(),
                origin=LetterId.parse(place.decode()),
                reason=said[names.REASON].decode(),
                detail=said[names.DETAIL].decode(),
            )
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Selection:
    """The conditions by which letters are selected; a letter must fulfil all that are given."""

    reasons: Collection[str] = ()
    """Any of these reasons; any reason when empty."""
    ids: Collection[LetterId] | None = None
    """These letters; None for all."""

    def __contains__(self, letter: Letter) -> bool:
        return (not self.reasons or letter.reason in self.reasons) and (
            self.ids is None or letter.id in self.ids
        )


class Marks:
    """A byte for each offset of each partition, from the first one that is set."""

    def __init__(self) -> None:
        self._bytes: dict[int, tuple[int, bytearray]] = {}

    def __getitem__(self, letter: LetterId) -> int:
        first, marks = self._bytes.get(letter.partition, (0, bytearray()))
        at = letter.offset - first
        return marks[at] if 0 <= at < len(marks) else 0

    def __setitem__(self, letter: LetterId, mark: int) -> None:
        first, marks = self._bytes.setdefault(letter.partition, (letter.offset, bytearray()))
        at = letter.offset - first
        if at >= len(marks):
            marks.extend(bytes(at + 1 - len(marks)))
        marks[at] = mark

    def clear(self, partition: int) -> int:
        """Unset the bytes of a partition; return how many were set."""
        _, marks = self._bytes.pop(partition, (0, bytearray()))
        return len(marks) - marks.count(0)


class Damage(NamedTuple):
    """A damaged batch; the letters and receipts that it had are not known."""

    partition: int


Item = Letter | LetterId | Damage | None
"""A letter, the id of a letter that was put back, a damaged batch, or None for a record of another
program."""


async def read_topic(settings: Settings) -> AsyncIterator[Item]:
    """Read the whole topic once, as it is now, each partition in its order.

    Raises:
        TopicError: the topic does not exist.
        KafkaError: no broker answers.
    """
    async with open_reader(settings, settings.dlq_topic, "earliest", PATIENCE_S) as consumer:
        damages: list[Damage] = []

        def note(partition: TopicPartition, damage: DamagedBatchError) -> None:
            warn_of_damage(partition, damage)
            damages.append(Damage(partition.partition))

        async for record in read_to_end(consumer, on_damage=note):
            while damages:
                yield damages.pop()
            if letter := Letter.of(record):
                yield letter
                continue
            receipt = dict(record.headers).get(RECEIPT) or b""
            is_receipt = receipt.isdigit() and len(receipt) < _MOST_DIGITS
            yield LetterId(record.partition, int(receipt)) if is_receipt else None
        for last in damages:
            yield last


async def select(settings: Settings, selection: Selection) -> AsyncIterator[Letter]:
    """Yield the letters of a selection, in the order of their partitions.

    Raises:
        TopicError: the topic does not exist.
        KafkaError: no broker answers.
        DataError: a letter that is selected by its place is not there.
    """
    missing = set(selection.ids or ())
    async for item in read_topic(settings):
        if isinstance(item, Letter) and item in selection:
            missing.discard(item.id)
            yield item
    check_found(settings, missing)


def check_found(settings: Settings, missing: Collection[LetterId]) -> None:
    """Check that all letters that were selected by their place exist.

    Raises:
        DataError: some do not exist.
    """
    if missing:
        raise DataError(
            f"the topic {settings.dlq_topic} has no such dead letter at "
            f"{', '.join(map(str, sorted(missing)))}: it has expired, or has another reason; "
            "`streamer dlq show` has those that are there"
        )


async def newest(settings: Settings, selection: Selection, limit: int) -> list[Letter]:
    """Find the newest letters of a selection, the newest last.

    Raises:
        DataError: a letter that is selected by its place is not there.
    """
    kept: list[tuple[int, LetterId, Letter]] = []
    async for letter in select(settings, selection):
        heapq.heappush(kept, (letter.timestamp_ms, letter.id, letter))
        if len(kept) > limit:
            heapq.heappop(kept)
    return [letter for _, _, letter in sorted(kept)]
