"""The familiarity of a device: the probability that it moves as the model has learned.

Each window of steady movement is strange to the model or not, and Bayes' rule combines what the
windows of a device say. Resting windows change nothing. The number is rounded and published, and
the recursion continues from the published number, as that of the beliefs does. To another model a
device starts anew.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import UNSET, UnsetType

from streamer.arrays import Floats
from streamer.contracts.events import ActivityEvent, ModelVersion
from streamer.labels.beliefs import continues, in_order
from streamer.labels.smoothing import DECIMALS
from streamer.predict.answers import Scored
from streamer.stream.windows import Window

START: Final = 0.99
"""Familiarity of a device of which nothing is known."""
LARGEST: Final = 0.999
"""Largest familiarity, and 1 minus the smallest: seven strange windows make any device unfamiliar.
"""
STRANGE_IF_KNOWN: Final = 0.3
"""Probability of a strange window of a device that moves as the model has learned. It is far above
the average, because some people move in a way of their own."""
STRANGE_IF_UNKNOWN: Final = 0.9
"""Probability of a strange window of any other device."""

Value = float | UnsetType


@dataclass(slots=True)
class _Last:
    """The familiarity of a device to a model after the window that starts at ``start_ms``."""

    start_ms: int
    model: ModelVersion | None
    familiarity: float


def is_unfamiliar(familiarity: Value) -> bool:
    """Return whether a device with this familiarity is unfamiliar."""
    return familiarity is not UNSET and familiarity < 0.5


def update(before: float, strangeness: float) -> float:
    """Return the familiarity of a device after a window.

    Args:
        before: the familiarity before it.
        strangeness: of the window; NaN where it does not tell.
    """
    if math.isnan(strangeness):
        return before
    known, unknown = STRANGE_IF_KNOWN, STRANGE_IF_UNKNOWN
    if strangeness <= 1:
        known, unknown = 1 - known, 1 - unknown
    familiarity = before * known / (before * known + (1 - before) * unknown)
    return round(min(max(familiarity, 1 - LARGEST), LARGEST), DECIMALS)


class Familiarities:
    """The familiarity of the devices of one partition.

    Attributes:
        unfamiliar: the devices that are unfamiliar after their last window.
    """

    def __init__(self) -> None:
        self.unfamiliar: set[str] = set()
        self._last: dict[str, _Last] = {}

    def restore(self, last: Mapping[str, ActivityEvent]) -> None:
        """Continue from the last event of each device."""
        for device_id, event in last.items():
            if not isinstance(event.familiarity, UnsetType):
                self._last[device_id] = _Last(event.window_start, event.model, event.familiarity)
                self._note(device_id, event.familiarity)

    def forget(self, device_ids: Iterable[str]) -> None:
        """Drop devices that the partition has forgotten."""
        for device_id in device_ids:
            self._drop(device_id)

    def update(self, windows: Sequence[Window], answers: Sequence[Scored]) -> list[list[Value]]:
        """Update the devices with windows; the windows of a device are in order.

        Args:
            windows: n windows.
            answers: scores of these windows, at most one for each window.

        Returns:
            For each answer, the familiarity after each of its windows; UNSET where the model
            cannot tell.
        """
        found: list[list[Value]] = [[UNSET] * len(each.rows) for each in answers]
        told = [_as_list(each.prediction.strangeness) for each in answers]
        cards = [each.prediction.model for each in answers]
        models = [ModelVersion(card.id, card.version) for card in cards]
        for row, number, i in in_order(answers):
            window, strangeness = windows[row], told[number]
            if strangeness is None:
                self._drop(window.device_id)
            else:
                found[number][i] = self._add(window, models[number], strangeness[i])
        return found

    def _add(self, window: Window, model: ModelVersion, strangeness: float) -> float:
        """Update a device with a window; return its familiarity."""
        device_id, last = window.device_id, self._last.get(window.device_id)
        if last is None or last.model != model or not continues(window, last.start_ms):
            last = self._last[device_id] = _Last(window.start_ms, model, START)
        last.start_ms = window.start_ms
        last.familiarity = update(last.familiarity, strangeness)
        self._note(device_id, last.familiarity)
        return last.familiarity

    def _note(self, device_id: str, familiarity: float) -> None:
        if is_unfamiliar(familiarity):
            self.unfamiliar.add(device_id)
        else:
            self.unfamiliar.discard(device_id)

    def _drop(self, device_id: str) -> None:
        self._last.pop(device_id, None)
        self.unfamiliar.discard(device_id)


def _as_list(strangeness: Floats | None) -> list[float] | None:
    return None if strangeness is None else strangeness.tolist()
