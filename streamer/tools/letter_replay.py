"""Puts dead letters back into their original partition, each once, with receipts."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from streamer.contracts import dead_letters as names
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.errors import TopicError
from streamer.kafka.client import client_options, connect
from streamer.kafka.topic_records import LARGEST_LETTER
from streamer.kafka.topics import admin_client, partition_counts
from streamer.kafka.transaction import name_refusals, transaction
from streamer.settings import Settings
from streamer.tools.dead_letters import (
    PATIENCE_S,
    RECEIPT,
    REPLAYED_FROM,
    Damage,
    Headers,
    Letter,
    LetterId,
    Marks,
    Selection,
    check_found,
    read_topic,
)

TRANSACTION_LETTERS: Final = 1000
TRANSACTION_BYTES: Final = 4 * 1024 * 1024
"""Number of letters, and bytes of their values, with which a transaction ends."""


class Correction(msgspec.Struct, frozen=True):
    """The record that is put back in the place of a letter."""

    key: bytes | None
    value: bytes | None
    headers: Headers


Corrections = Mapping[LetterId, Correction]


@dataclass(slots=True)
class Waiting:
    """The letters to put back, one byte for each."""

    count: int = 0
    cut: int = 0
    """Letters that cannot go back, because their record was not kept, or only its beginning."""
    doubtful: int = 0
    """Letters before a damaged batch, which may have had their receipts."""
    _marks: Marks = field(default_factory=Marks)

    def add(self, letter: Letter) -> None:
        """Add a letter."""
        self._marks[letter.id] = 1
        self.count += 1

    def remove(self, letter: LetterId) -> None:
        """Remove a letter that was put back before."""
        if self._marks[letter]:
            self._marks[letter] = 0
            self.count -= 1

    def doubt(self, partition: int) -> None:
        """Remove the letters of a partition so far: their receipts may be lost."""
        removed = self._marks.clear(partition)
        self.count -= removed
        self.doubtful += removed

    def __contains__(self, letter: LetterId) -> bool:
        return bool(self._marks[letter])


async def find_waiting(
    settings: Settings, selection: Selection, corrections: Corrections | None = None
) -> Waiting:
    """Find the letters that were not put back yet.

    Args:
        settings: names the topic and the brokers.
        selection: selects letters; with corrections, only corrected letters.
        corrections: values to put back instead.

    Raises:
        DataError: a letter that is selected by its place, or by a correction, is not there.
    """
    if corrections is not None:
        selection = replace(selection, ids=corrections.keys())
    found, missing = Waiting(), set(selection.ids or ())
    async for item in read_topic(settings):
        if isinstance(item, LetterId):
            found.remove(item)
        elif isinstance(item, Damage):
            found.doubt(item.partition)
        elif item is not None and item in selection:
            missing.discard(item.id)
            # A refused window is not a reading, so the worker would reject it again.
            if item.reason == names.REFUSED:
                continue
            if {names.CUT, names.LOST} & dict(item.headers).keys() and corrections is None:
                found.cut += 1
            else:
                found.add(item)
    check_found(settings, missing)
    return found


async def put_back(
    settings: Settings,
    selection: Selection,
    corrections: Corrections | None = None,
    report: ReportProgress = ignore_progress,
) -> int:
    """Put back the letters of a selection that have no receipt; return how many.

    Readings and receipts are written in transactions of some letters each.

    A letter goes back to the partition from which it came: another client's partitioner might
    choose another one, and a device in two partitions is two devices. An interrupted run is
    finished by the next one, because every letter and its receipt are in one transaction.

    Raises:
        DataError: a letter that is selected by its place, or by a correction, is not there.
        TopicError: the partition of a letter does not exist.
        KafkaError: no broker answers, or another run of this command was started after this one.
    """

    def make() -> AIOKafkaProducer:
        # All runs share one transactional id: of two concurrent runs the first is fenced and fails.
        return AIOKafkaProducer(
            **client_options(settings),
            transactional_id=f"{settings.dlq_topic}-replay",
            compression_type="zstd",
            max_request_size=LARGEST_LETTER,
        )

    async with admin_client(settings, PATIENCE_S) as admin:
        partitions = await partition_counts(admin)
    done, group, size = 0, list[Letter](), 0
    # The producer fences any other run, so the receipts that are read after its start are complete.
    async with connect(make, PATIENCE_S) as producer:
        waiting = await find_waiting(settings, selection, corrections)
        async for item in read_topic(settings):
            if not isinstance(item, Letter) or item.id not in waiting:
                continue
            letter = item
            if corrections is not None:
                new = corrections[letter.id]
                letter = replace(letter, key=new.key, value=new.value, headers=new.headers)
            _check_partition(letter, partitions)
            group.append(letter)
            size += len(letter.value or b"")
            if len(group) == TRANSACTION_LETTERS or size > TRANSACTION_BYTES:
                await _send(settings, producer, group)
                done, group, size = done + len(group), [], 0
                report("letters put back", done, waiting.count)
        if group:
            await _send(settings, producer, group)
    return done + len(group)


def _check_partition(letter: Letter, partitions: Mapping[str, int]) -> None:
    count = partitions.get(letter.topic, 0)
    if letter.origin.partition >= count:
        raise TopicError(
            f"dead letter {letter.id} came from {letter.topic}[{letter.origin.partition}], and "
            f"that topic has {count} partitions now; create the topic as it was, or publish the "
            "reading again (`streamer dlq show --output` writes it)"
        )


async def _send(settings: Settings, producer: AIOKafkaProducer, letters: list[Letter]) -> None:
    sent: list[asyncio.Future[RecordMetadata]] = []
    async with transaction(producer), name_refusals(sent):
        for letter in letters:
            place = f"{settings.dlq_topic}:{letter.id}".encode()
            back = await producer.send(
                letter.topic,
                letter.value,
                letter.key,
                partition=letter.origin.partition,
                headers=[*letter.headers, (REPLAYED_FROM, place)],
            )
            sent.append(back)
            receipt = await producer.send(
                settings.dlq_topic,
                key=letter.key or b"",
                partition=letter.id.partition,
                headers=[(RECEIPT, str(letter.id.offset).encode())],
            )
            sent.append(receipt)
