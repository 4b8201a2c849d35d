"""Counts dead letters by their reason.

Memory holds one byte for each letter, and a hash for each of the first keys of a reason.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from streamer.settings import Settings
from streamer.tools.dead_letters import Damage, Letter, LetterId, Marks, Selection, read_topic

MOST_KEYS: Final = 100_000
"""Largest number of different keys that is counted for a reason."""


class Group(msgspec.Struct):
    """Letters of one reason."""

    reason: str
    letters: int = 0
    put_back: int = 0
    keys: int = 0
    """Different keys; `MOST_KEYS` stands for that many and more."""
    first_ms: int = 0
    last_ms: int = 0
    example: str = ""
    """Detail of the letter that was read last."""


_OTHER_REASONS: Final = "(other reasons)"
_MOST_REASONS: Final = 200


@dataclass(slots=True)
class Survey:
    """The letters of a selection, counted, and how many of them were put back."""

    _groups: dict[str, Group] = field(default_factory=dict)
    _keys: dict[str, set[int]] = field(default_factory=dict)
    _numbers: Marks = field(default_factory=Marks)
    foreign: int = 0
    """Records of other programs, which are neither letters nor receipts."""

    @property
    def letters(self) -> int:
        """Number of letters."""
        return sum(group.letters for group in self._groups.values())

    def add(self, letter: Letter) -> None:
        """Count a letter."""
        known = letter.reason in self._groups or len(self._groups) < _MOST_REASONS
        reason = letter.reason if known else _OTHER_REASONS
        if reason not in self._groups:
            self._groups[reason] = Group(reason, first_ms=letter.timestamp_ms)
            self._keys[reason] = set()
        group, keys = self._groups[reason], self._keys[reason]
        group.letters += 1
        if len(keys) < MOST_KEYS:
            keys.add(hash(letter.key))
            group.keys = len(keys)
        group.first_ms = min(group.first_ms, letter.timestamp_ms)
        group.last_ms = max(group.last_ms, letter.timestamp_ms)
        group.example = letter.detail
        self._numbers[letter.id] = 1 + list(self._groups).index(reason)

    def add_receipt(self, letter: LetterId) -> None:
        """Count a letter as put back; once, and only if it belongs to the selection."""
        if number := self._numbers[letter]:
            list(self._groups.values())[number - 1].put_back += 1
            self._numbers[letter] = 0

    def groups(self) -> list[Group]:
        """Return the groups, the most frequent reason first."""
        return sorted(self._groups.values(), key=lambda group: -group.letters)


async def survey_letters(settings: Settings, selection: Selection) -> Survey:
    """Count the letters of a selection.

    Raises:
        TopicError: the topic does not exist.
        KafkaError: no broker answers.
    """
    found = Survey()
    async for item in read_topic(settings):
        match item:
            case Letter():
                if item in selection:
                    found.add(item)
            case LetterId():
                found.add_receipt(item)
            case Damage():
                pass  # the warning says it
            case None:
                found.foreign += 1
    return found
