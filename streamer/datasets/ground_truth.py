"""Joins ground truth with stored windows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from streamer.arrays import Ints, Strings
from streamer.contracts.ground_truth import ActivityLabel, check_label
from streamer.datasets.labelled_windows import UNLABELLED
from streamer.errors import DataError
from streamer.features.window_shape import WINDOW
from streamer.storage.window_files import StoredWindows

_LENGTH_MS = WINDOW.length_us // 1000


@dataclass(frozen=True, slots=True)
class Joined:
    """Stored windows and what people say about them.

    Attributes:
        windows: those that lie wholly in a label.
        activities: (n,), of these windows.
        unlabelled: number of the other windows.
        unusable: labels that cannot be true, and why.
        unknown_devices: devices that have labels and no windows.
    """

    windows: StoredWindows
    activities: Strings
    unlabelled: int
    unusable: list[str]
    unknown_devices: list[str]


def join_labels(
    windows: StoredWindows,
    labels: Sequence[ActivityLabel],
    activities: Collection[str],
    now_ms: int,
) -> Joined:
    """Give each window the activity of the label in which it lies wholly.

    Where labels overlap, the last one counts: it cuts off the labels before it.

    Args:
        windows: ordered by device and time, each once.
        labels: those of a device in the order in which they were published.
        activities: those that labels may name.
        now_ms: the present time, milliseconds since the epoch.
    """
    usable: list[ActivityLabel] = []
    unusable: list[str] = []
    for label in labels:
        try:
            usable.append(check_label(label, activities, now_ms))
        except DataError as error:
            unusable.append(f"label of {label.device_id!r:.80} by {label.by!r:.80}: {error}")
    of_device: dict[str, list[ActivityLabel]] = {}
    for label in usable:
        of_device.setdefault(label.device_id, []).append(label)
    truths = np.full(len(windows), UNLABELLED, f"<U{max(map(len, activities))}")
    unknown_devices = []
    for device_id, its_labels in sorted(of_device.items()):
        rows = windows.device_ids == device_id
        if not rows.any():
            unknown_devices.append(device_id)
        truths[rows] = _find_activities(windows.start_ms[rows], its_labels)
    rows = truths != UNLABELLED
    return Joined(
        windows.of(rows),
        truths[rows],
        int((~rows).sum()),
        unusable,
        unknown_devices,
    )


def _find_activities(starts: Ints, labels: Sequence[ActivityLabel]) -> Strings:
    """Return the activity (n,) of windows of a device that start at these times.

    As in `true_activity`, a window that overlaps a change of activity is `UNLABELLED`.
    """
    edges = np.unique([edge for label in labels for edge in (label.start, label.end)])
    # Of the stretches between two edges, and of the times before the first and after the last one.
    width = max(len(label.activity) for label in labels)
    said = np.full(len(edges) + 1, UNLABELLED, f"<U{width}")
    for label in labels:
        first, last = np.searchsorted(edges, (label.start, label.end))
        said[first + 1 : last + 1] = label.activity
    changes = np.flatnonzero(said[1:] != said[:-1])
    edges, said = edges[changes], said[np.concatenate([[0], changes + 1])]
    first = np.searchsorted(edges, starts, side="right")
    last = np.searchsorted(edges, starts + _LENGTH_MS, side="left")
    found: Strings = np.where(first == last, said[first], UNLABELLED)
    return found
