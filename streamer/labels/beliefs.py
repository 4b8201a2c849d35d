"""The belief about each device after its last window.

The belief after a window is the start for the next window of the grid, unless the device was reset
between them. After a gap, a silence, a window without a prediction or a change of the model, the
device starts without a belief. The log alone decides that. When a belief is dropped from memory
must not matter: that depends on the fetches.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple, Self

import numpy as np

from streamer.arrays import Floats
from streamer.contracts.events import ActivityEvent
from streamer.features.window_shape import WINDOW
from streamer.labels.smoothing import find_filter
from streamer.predict.answers import Scored
from streamer.stream.windows import Window

_HOP_MS = WINDOW.hop_us // 1000


class LastBelief(NamedTuple):
    """The belief about a device after a window.

    Attributes:
        start_ms: nominal start of the window.
        labels: labels of the classes.
        belief: (classes,), their probabilities.
    """

    start_ms: int
    labels: tuple[str, ...]
    belief: Floats

    @classmethod
    def of(cls, event: ActivityEvent) -> Self:
        """Read the belief that was published with a window."""
        labels, belief = tuple(event.posterior), list(event.posterior.values())
        return cls(event.window_start, labels, np.array(belief, np.float64))


def continues(window: Window, last_start_ms: int) -> bool:
    """Return whether a window is the next one of the grid after another, in one life of a device.

    What is known of the device after that window passes to this one.
    """
    return window.follows and last_start_ms + _HOP_MS == window.start_ms


def in_order(answers: Sequence[Scored]) -> Iterable[tuple[int, int, int]]:
    """Go through the windows of answers in their order.

    Returns:
        For each window its row, and where its scores are: the number of the answer, and the place
        in this answer.
    """
    if len(answers) == 1:
        rows = answers[0].rows.tolist()
        return zip(rows, repeat(0), range(len(rows)), strict=False)
    return sorted(
        (row, number, i)
        for number, each in enumerate(answers)
        for i, row in enumerate(each.rows.tolist())
    )


class Beliefs:
    """The beliefs about the devices of one partition."""

    def __init__(self) -> None:
        self._last: dict[str, LastBelief] = {}

    def restore(self, last: Mapping[str, ActivityEvent]) -> None:
        """Continue from the last event of each device."""
        self._last = {device_id: LastBelief.of(event) for device_id, event in last.items()}

    def forget(self, device_ids: Iterable[str]) -> None:
        """Drop the beliefs about devices that the partition has forgotten."""
        for device_id in device_ids:
            self._last.pop(device_id, None)

    def update(self, windows: Sequence[Window], answers: Sequence[Scored]) -> list[Floats]:
        """Update the beliefs with windows; the windows of a device are in order.

        Args:
            windows: n windows.
            answers: scores of these windows, at most one for each window.

        Returns:
            For each answer, the beliefs (k, classes) after its k windows.
        """
        found = [np.empty_like(each.prediction.scores) for each in answers]
        cards = [each.prediction.model for each in answers]
        filters = [find_filter(card.activities) for card in cards]
        likelihoods = [
            smoothing.likelihoods(each.prediction.scores)
            for smoothing, each in zip(filters, answers, strict=True)
        ]
        for row, number, i in in_order(answers):
            window, labels = windows[row], cards[number].labels
            belief = filters[number].update(self._before(window, labels), likelihoods[number][i])
            self._last[window.device_id] = LastBelief(window.start_ms, labels, belief)
            found[number][i] = belief
        return found

    def _before(self, window: Window, labels: tuple[str, ...]) -> Floats | None:
        """Return the belief after the previous window; None if the device starts anew."""
        last = self._last.get(window.device_id)
        if last is None or not continues(window, last.start_ms):
            return None
        if last.labels == labels:
            return last.belief
        if sorted(last.labels) == sorted(labels):
            # The endpoint names the same classes in another order.
            return last.belief[[last.labels.index(label) for label in labels]]
        return None
