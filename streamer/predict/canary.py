"""A canary: another model that decides for a small, stable share of the devices.

A canary that is worse is rolled back by itself. The rule compares it with the other models over
the latest windows; it says nothing before it has seen enough of both.
"""

import asyncio
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from streamer.arrays import Bools, Floats
from streamer.contracts.activities import UNKNOWN
from streamer.contracts.events import ActivityEvent
from streamer.errors import CanaryError
from streamer.metrics import Metrics
from streamer.predict.answers import Answers, Ask

ENOUGH: Final = 200
"""Windows of the canary, and of the others, before the rule says anything."""

MOST: Final = 2000
"""Windows after which the counts are halved, so that old windows count less and less."""


def is_chosen(device_id: str, share: float) -> bool:
    """Return whether a canary with this share decides for a device. A larger share adds devices."""
    return zlib.crc32(b"canary/" + device_id.encode()) < share * 2**32


@dataclass
class _Counts:
    """How many windows have some property."""

    those: float = 0.0
    all: float = 0.0

    def add(self, those: int, total: int) -> None:
        self.those += those
        self.all += total
        if self.all > MOST:
            self.those, self.all = self.those / 2, self.all / 2

    @property
    def share(self) -> float:
        return self.those / max(self.all, 1)


@dataclass
class CanaryRule:
    """Says when a canary is worse than the other models.

    Attributes:
        unknown_margin: how much larger its share of unknown windows may be.
        min_agreement: how many of its windows must get the activity that the others give them.
    """

    unknown_margin: float
    min_agreement: float
    _canary: _Counts = field(default_factory=_Counts)
    _others: _Counts = field(default_factory=_Counts)
    _agreement: _Counts = field(default_factory=_Counts)

    def count_events(self, unknown: int, total: int, *, is_canary: bool) -> None:
        """Count published windows."""
        (self._canary if is_canary else self._others).add(unknown, total)

    def count_agreement(self, same: int, total: int) -> None:
        """Count windows of the canary about which the other models were asked too."""
        self._agreement.add(same, total)

    def verdict(self) -> str | None:
        """Return why the canary is to be rolled back; None if it is not."""
        canary, others, agreement = self._canary, self._others, self._agreement
        if min(canary.all, others.all) >= ENOUGH:
            limit = others.share + self.unknown_margin
            if canary.share > limit:
                return (
                    f"{canary.share:.0%} of its windows are unknown, and {others.share:.0%} of the "
                    f"others; canary_unknown_margin allows {self.unknown_margin:.0%} more"
                )
        if agreement.all >= ENOUGH and agreement.share < self.min_agreement:
            return (
                f"it gives {agreement.share:.0%} of its windows the activity that the other model "
                f"gives them; canary_min_agreement is {self.min_agreement:.0%}"
            )
        return None


@dataclass(frozen=True)
class Canary:
    """Another model, and how it is judged.

    Attributes:
        name: of the model.
        share: of the devices for which it decides.
        rule: says when it is worse.
        compares: whether the other models are asked about its windows too: they are in the process
            and answer within microseconds.
        patience_s: how long it may take to answer.
    """

    name: str
    ask_model: Ask
    share: float
    rule: CanaryRule
    metrics: Metrics
    compares: bool
    patience_s: float

    def choose(self, device_ids: Sequence[str]) -> Bools:
        """Return for which of the devices the canary decides."""
        return np.array([is_chosen(device_id, self.share) for device_id in device_ids], np.bool_)

    async def ask(self, features: Floats, ask_others: Ask) -> Answers:
        """Ask the canary, and compare its answers with those of the other models.

        Raises:
            CanaryError: it has failed, has not answered in time, or has refused a window.
        """
        try:
            async with asyncio.timeout(self.patience_s):
                answers = await self.ask_model(features)
        except TimeoutError:
            raise CanaryError(self.name, f"no answer for {self.patience_s:g} s") from None
        except Exception as error:
            raise CanaryError(self.name, repr(error)) from error
        for words in answers.refused.values():
            raise CanaryError(self.name, f"it refuses a window: {words}")
        if answers.unavailable:
            raise CanaryError(self.name, "its endpoint does not answer")
        if self.compares:
            mine, theirs = activities_of(answers), activities_of(await ask_others(features))
            same = sum(theirs[row] == activity for row, activity in mine.items())
            self.rule.count_agreement(same, len(mine))
            self.metrics.canary_comparisons.labels("same").inc(same)
            self.metrics.canary_comparisons.labels("other").inc(len(mine) - same)
        return answers

    def count_events(self, events: Sequence[ActivityEvent]) -> str | None:
        """Count published events; return why the canary is to be rolled back, or None."""
        chosen = self.choose([event.device_id for event in events])
        unknown = np.array([event.activity == UNKNOWN for event in events], np.bool_)
        for is_canary, group in ((True, "canary"), (False, "others")):
            those = unknown[chosen == is_canary]
            self.rule.count_events(int(those.sum()), len(those), is_canary=is_canary)
            self.metrics.canary_windows.labels(group, "unknown").inc(int(those.sum()))
            self.metrics.canary_windows.labels(group, "known").inc(int((~those).sum()))
        return self.rule.verdict()


def activities_of(answers: Answers) -> dict[int, str]:
    """Return the likeliest activity of each window that has scores, by its row."""
    return {
        row: scored.prediction.model.activities[best]
        for scored in answers.scored
        for row, best in zip(
            scored.rows.tolist(), scored.prediction.scores.argmax(axis=1).tolist(), strict=True
        )
    }
