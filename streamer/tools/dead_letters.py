"""What is in the dead-letter topic: letters, and receipts for those that were put back.

A receipt is written behind its letter, into the same partition and in the same transaction as the
reading that goes back. So it is exact which letters still wait, whatever was chosen, interrupted or
run twice; and as Kafka deletes the oldest records first, no receipt goes before its letter.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer, ConsumerRecord

from streamer.contracts import dead_letters as names
from streamer.errors import DataError
from streamer.kafka.client import client_options, connect
from streamer.kafka.reader import open_reader, read_to_end
from streamer.settings import Settings

REPLAYED_FROM = "streamer-replayed-from"
"""On a reading that was put back: dead-letter topic, partition and offset of its letter."""
RECEIPT = "streamer-replayed"
"""On a receipt: the offset of the letter, which is in the same partition. Decimal digits."""

PATIENCE_S = 10.0

_OURS = {
    names.ORIGIN_TOPIC,
    names.ORIGIN_PARTITION,
    names.ORIGIN_OFFSET,
    names.REASON,
    names.DETAIL,
}

Headers = list[tuple[str, bytes | None]]


class LetterId(NamedTuple):
    """Where a letter is in the dead-letter topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "LetterId":
        """Read what `str` writes.

        Raises:
            ValueError: it is something else.
        """
        partition, _, offset = text.partition(":")
        if not (text.isascii() and partition.isdigit() and offset.isdigit()):
            raise ValueError(f"{text!r} is not PARTITION:OFFSET, such as 0:17")
        return cls(int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that was refused, and why."""

    id: LetterId
    timestamp_ms: int
    """When it was refused."""
    key: bytes | None
    value: bytes | None
    headers: Headers
    """Without those that say where and why."""
    topic: str
    """Where it was read from."""
    origin: LetterId
    """Where it was in that topic."""
    reason: str
    detail: str

    @classmethod
    def of(cls, record: "ConsumerRecord[bytes | None, bytes | None]") -> "Letter | None":
        """The letter that a record is, if it is one."""
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
    """Which letters are meant: those that fit everything that is given."""

    reasons: Collection[str] = ()
    """Any of these; when empty, any at all."""
    ids: Collection[LetterId] | None = None
    """None for all."""

    def __contains__(self, letter: Letter) -> bool:
        return (not self.reasons or letter.reason in self.reasons) and (
            self.ids is None or letter.id in self.ids
        )


class Group(msgspec.Struct, frozen=True):
    """Letters of one reason."""

    reason: str
    letters: int
    put_back: int
    keys: int
    first_ms: int
    last_ms: int
    example: str


@dataclass(slots=True)
class Survey:
    """The letters of a selection, and which of them were put back."""

    letters: list[Letter] = field(default_factory=list)
    put_back: set[LetterId] = field(default_factory=set)
    foreign: int = 0
    """Records that are neither letters nor receipts: somebody else's."""

    def groups(self) -> list[Group]:
        """By reason, the most frequent first."""
        by_reason: dict[str, list[Letter]] = {}
        for letter in self.letters:
            by_reason.setdefault(letter.reason, []).append(letter)
        groups = [
            Group(
                reason,
                letters=len(letters),
                put_back=sum(letter.id in self.put_back for letter in letters),
                keys=len({letter.key for letter in letters}),
                first_ms=min(letter.timestamp_ms for letter in letters),
                last_ms=max(letter.timestamp_ms for letter in letters),
                example=letters[-1].detail,
            )
            for reason, letters in by_reason.items()
        ]
        return sorted(groups, key=lambda group: -group.letters)


async def survey(settings: Settings, selection: Selection) -> Survey:
    """Read the whole topic once, as it is now.

    Raises:
        TopicError: there is no such topic.
        KafkaError: no broker answers.
        DataError: a letter that is selected by its place is not there.
    """
    found = Survey()
    async with open_reader(settings, settings.dlq_topic, "earliest", PATIENCE_S) as consumer:
        async for record in read_to_end(consumer):
            receipt = dict(record.headers).get(RECEIPT) or b""
            if letter := Letter.of(record):
                if letter in selection:
                    found.letters.append(letter)
            elif receipt.isdigit():
                found.put_back.add(LetterId(record.partition, int(receipt)))
            else:
                found.foreign += 1
    if missing := set(selection.ids or ()) - {letter.id for letter in found.letters}:
        raise DataError(
            f"the topic {settings.dlq_topic} has no such dead letter at "
            f"{', '.join(map(str, sorted(missing)))}: it has expired, or has another reason; "
            "`streamer dlq show` has those that are there"
        )
    return found


async def select(settings: Settings, selection: Selection, limit: int | None) -> list[Letter]:
    """Find letters, the newest last; at most so many of the newest."""
    letters = (await survey(settings, selection)).letters
    letters.sort(key=lambda letter: letter.timestamp_ms)
    return letters[-limit:] if limit else letters


class Correction(msgspec.Struct, frozen=True):
    """What to put back for a letter."""

    key: bytes | None
    value: bytes | None
    headers: Headers


async def letters_to_replay(
    settings: Settings,
    selection: Selection,
    corrections: Mapping[LetterId, Correction] | None = None,
) -> list[Letter]:
    """Find the letters that were not put back yet; corrected if there are corrections.

    Raises:
        DataError: a correction is for a letter that is not there.
    """
    if corrections is not None:
        selection = replace(selection, ids=list(corrections))
    found = await survey(settings, selection)
    letters = [
        letter
        for letter in found.letters
        # A refused window is no reading: among readings it would only be refused again.
        if letter.id not in found.put_back and letter.reason != names.REFUSED
    ]
    if corrections is None:
        return letters
    return [_corrected(letter, corrections[letter.id]) for letter in letters]


def _corrected(letter: Letter, new: Correction) -> Letter:
    return replace(letter, key=new.key, value=new.value, headers=new.headers)


async def put_back(settings: Settings, letters: Sequence[Letter]) -> None:
    """Write readings and receipts in one transaction: all of them, or none.

    Raises:
        KafkaError: no broker answers.
    """

    def make() -> AIOKafkaProducer:
        # One name for all: of two that put back at once, the first is fenced and fails.
        return AIOKafkaProducer(
            **client_options(settings), transactional_id=f"{settings.dlq_topic}-replay"
        )

    async with connect(make, PATIENCE_S) as producer, producer.transaction():
        for letter in letters:
            place = f"{settings.dlq_topic}:{letter.id}".encode()
            await producer.send(
                letter.topic,
                letter.value,
                letter.key,
                headers=[*letter.headers, (REPLAYED_FROM, place)],
            )
            await producer.send(
                settings.dlq_topic,
                key=letter.key or b"",
                partition=letter.id.partition,
                headers=[(RECEIPT, str(letter.id.offset).encode())],
            )
