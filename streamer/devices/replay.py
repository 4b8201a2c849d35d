"""Publishes recordings as if their devices sent them now."""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from streamer.contracts.encode import encode
from streamer.datasets.recording import Recording
from streamer.datasets.recording_sources import read_for_replay
from streamer.devices.publisher import PATIENCE_S, DeviceRecord, Sent, publish, until_interrupted
from streamer.devices.sending import Sending
from streamer.kafka import topics
from streamer.profiles.profile import FileLayout
from streamer.settings import Settings

INTERVAL_MS = 20
"""Between two samples of a recording."""

REPLAY_HEADER = "streamer-replay"
"""Header of the first record of every replay of a recording; holds a `ReplayInfo` as JSON."""

_PAUSE_MS = 2000
"""Pause before a recording repeats; longer than any gap that is filled, so the device restarts."""


class ReplayInfo(msgspec.Struct, frozen=True):
    """The times of the samples of a recording, as their readings have them."""

    start_ms: float
    samples: int
    interval_ms: float


class RecordedDevice:
    """The device of a recording.

    Args:
        recording: its samples.
        start_ms: the time of its first sample, since the epoch.
        sending: how it publishes.
        loop: whether the recording repeats without end.
    """

    def __init__(
        self, recording: Recording, start_ms: float, sending: Sending, *, loop: bool
    ) -> None:
        self._id = recording.device_id
        self._samples = recording.acc_gyro
        self._start_ms = start_ms
        self._sending = sending
        self._loop = loop
        self._next = 0

    def until(self, time_ms: float) -> Sequence[DeviceRecord]:
        """Return the records whose samples are complete at a time; each only once."""
        messages = self._records(time_ms)
        while self._loop and self._next == len(self._samples) and self._start_ms <= time_ms:
            self._start_ms += len(self._samples) * INTERVAL_MS + _PAUSE_MS
            self._next = 0
            messages += self._records(time_ms)
        return messages

    def _records(self, time_ms: float) -> list[DeviceRecord]:
        size, n = self._sending.batch, len(self._samples)
        taken = min(n, max(0, math.floor((time_ms - self._start_ms) / INTERVAL_MS) + 1))
        complete = n if taken == n else taken // size * size
        messages = [self._record(i, min(i + size, n)) for i in range(self._next, complete, size)]
        self._next = max(self._next, complete)
        return messages

    def _record(self, first: int, end: int) -> DeviceRecord:
        key, value, headers = encode(
            self._id,
            self._start_ms + first * INTERVAL_MS,
            INTERVAL_MS if self._sending.batch > 1 else None,
            self._samples[first:end],
            self._sending.format,
        )
        if first == 0:
            info = ReplayInfo(self._start_ms, len(self._samples), INTERVAL_MS)
            headers = [*headers, (REPLAY_HEADER, msgspec.json.encode(info))]
        return DeviceRecord(key, value, headers, end - first)


async def replay(
    settings: Settings,
    source: Path,
    sending: Sending,
    *,
    layout: FileLayout | None = None,
    only: str = "*",
    loop: bool = False,
    console: Console,
) -> Sent:
    """Publish recordings, until their end or Ctrl-C.

    Args:
        settings: where to publish.
        source: a folder in the public layout, or the recordings that the layout describes.
        sending: how to publish.
        layout: how the files of other devices are read; None for the public layout.
        only: glob pattern of the device ids to publish.
        loop: whether recordings repeat without end.
        console: shows the progress.

    Raises:
        DataError: there are no such recordings, or malformed ones.
        KafkaError: no broker answers, or it does not accept what is sent.
    """
    with console.status("reading the recordings"):
        recordings = read_for_replay(
            source, layout, only, lambda note: console.print(note, soft_wrap=True)
        )
    await topics.ensure(settings, PATIENCE_S)
    longest = max(len(recording.acc_gyro) for recording in recordings)
    timeline = sending.timeline(math.inf if loop else (longest - 1) * INTERVAL_MS)
    devices = [
        RecordedDevice(recording, timeline.start_ms, sending, loop=loop) for recording in recordings
    ]
    total = sum(len(recording.acc_gyro) for recording in recordings)
    with until_interrupted() as stop, _progress(console) as bar:
        task = bar.add_task(f"{len(devices)} devices", total=None if loop else total)
        return await publish(
            settings,
            devices,
            timeline,
            stop,
            lambda sent: bar.update(task, completed=sent.samples),
        )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} samples"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
