"""Publishes recordings at their own sampling rates, as if their devices sent them now."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from streamer.datasets.json_readings import JSON_FILES
from streamer.datasets.recording_sources import read_for_replay
from streamer.kafka import topics
from streamer.profiles.choose_decoder import make_decoder
from streamer.profiles.profile import FileLayout
from streamer.publishing.publisher import PATIENCE_S, Sent, Timeline, publish, until_interrupted
from streamer.publishing.record_file import RecordFile
from streamer.publishing.recorded_device import RecordedDevice
from streamer.publishing.sending import Sending
from streamer.settings import Settings


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
        source: a folder in the public layout, the recordings that the layout describes, or a file
            of JSON records in the format of the settings, which are published as they are.
        sending: how to publish.
        layout: how the files of other devices are read; None for the public layout.
        only: glob pattern of the device ids to publish.
        loop: whether recordings repeat without end.
        console: shows the progress.

    Raises:
        DataError: there are no such recordings, or malformed ones; or the format cannot hold them.
        KafkaError: no broker answers, or it does not accept what is sent.
    """
    devices: Sequence[RecordFile | RecordedDevice]
    with console.status("reading the recordings"):
        if source.suffix in JSON_FILES:
            devices = [RecordFile(source, make_decoder(settings.readings_format))]
            now_ms = time.time() * 1000
            timeline = Timeline(now_ms, now_ms, math.inf)
        else:
            recordings = read_for_replay(
                source, layout, only, lambda note: console.print(note, soft_wrap=True)
            )
            longest_ms = max(each.end_us - each.start_us for each in recordings) / 1000
            timeline = sending.timeline(math.inf if loop else longest_ms)
            devices = [
                RecordedDevice(recording, timeline.start_ms, sending, loop=loop)
                for recording in recordings
            ]
    await topics.ensure_readings(settings, PATIENCE_S)
    total = sum(device.samples for device in devices)
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
