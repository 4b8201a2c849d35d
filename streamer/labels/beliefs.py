"""What is believed of each device after its last window, and goes on from there.

A belief is carried over from one window to the next one of the grid, if nothing made the device
start anew between them. After anything else (a gap, a silence, a window that was not predicted,
another model) it starts afresh. What decides is in the log; when a belief is dropped is not.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np

from streamer.arrays import Floats
from streamer.contracts.events import ActivityEvent
from streamer.features import UCI_HAR
from streamer.labels.smoothing import find_filter
from streamer.predict.answers import Scored
from streamer.stream.windows import Window

_HOP_MS = UCI_HAR.hop_us // 1000


class LastBelief(NamedTuple):
    """A device's belief as of a window.

    Attributes:
        start_ms: nominal start of the window.
        labels: the classes.
        belief: (classes,).
    """

    start_ms: int
    labels: tuple[str, ...]
    belief: Floats

    @classmethod
    def of(cls, event: ActivityEvent) -> Self:
        """The belief that was published with a window."""
        labels, belief = tuple(event.posterior), list(event.posterior.values())
        return cls(event.window_start, labels, np.array(belief, np.float64))


def find_last_beliefs(
    events: Iterable[ActivityEvent], start_ms: Mapping[str, int]
) -> dict[str, LastBelief]:
    """The beliefs as of certain windows, by device; of a repeated event the last one counts."""
    return {
        event.device_id: LastBelief.of(event)
        for event in events
        if start_ms.get(event.device_id) == event.window_start
    }


class Beliefs:
    """The devices of one partition."""

    def __init__(self) -> None:
        self._last: dict[str, LastBelief] = {}

    def restore(self, last: Mapping[str, LastBelief]) -> None:
        """Go on from what was published."""
        self._last = dict(last)

    def forget(self, device_ids: Iterable[str]) -> None:
        """Drop devices that are gone."""
        for device_id in device_ids:
            self._last.pop(device_id, None)

    def after(self, windows: Sequence[Window], answers: Sequence[Scored]) -> list[Floats]:
        """Take in windows, each device's in their order.

        Args:
            windows: n of them.
            answers: scores of these windows, each window at most once.

        Returns:
            The beliefs after each window, (k, classes) for each answer about k windows.
        """
        found = [np.empty_like(each.prediction.scores) for each in answers]
        cards = [each.prediction.model for each in answers]
        filters = [find_filter(card.activities) for card in cards]
        weights = [
            smoothing.weights(each.prediction.scores)
            for smoothing, each in zip(filters, answers, strict=True)
        ]
        places = [
            (row, number, i)
            for number, each in enumerate(answers)
            for i, row in enumerate(each.rows.tolist())
        ]
        for row, number, i in sorted(places):
            window, labels = windows[row], cards[number].labels
            belief = filters[number].after(self._before(window, labels), weights[number][i])
            self._last[window.device_id] = LastBelief(window.start_ms, labels, belief)
            found[number][i] = belief
        return found

    def _before(self, window: Window, labels: tuple[str, ...]) -> Floats | None:
        """What was believed a hop ago; None when a device starts afresh."""
        last = self._last.get(window.device_id) if window.follows else None
        if last and last.start_ms + _HOP_MS == window.start_ms and last.labels == labels:
            return last.belief
        return None
