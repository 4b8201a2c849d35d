"""Judges labels of the same people, whose devices sample in other ways, on a real Kafka.

    STREAMER_DEVICES_DIR=... python benchmarks/devices.py [--model FILE] [--kind KIND]...

A model is learned from people 1 to 12 of MotionSense, as `streamer model train` does. Then the
recordings of people 13 to 16 are published as devices of many kinds, `streamer run --until-end`
labels them, and the published labels are compared with the true ones. The figures of the same
model without Kafka, as `streamer model evaluate` computes them, come first.

STREAMER_DEVICES_DIR has the file motionsense.npz, see CONTRIBUTING.md. Takes some minutes.
"""

import asyncio
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import numpy as np
from scipy.interpolate import CubicSpline

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import report
from benchmarks.public_recordings import read_pocket
from streamer.arrays import Ints
from streamer.datasets.labelled_windows import cut_recordings
from streamer.datasets.raw_recording import RawRecording, SensorSeries
from streamer.datasets.recording import Recording, Segment
from streamer.datasets.recording_sources import as_measured
from streamer.features import GRAVITY_FRAME
from streamer.kafka import topics
from streamer.localkafka.broker import LocalKafka
from streamer.model import artifact
from streamer.publishing.publisher import Timeline, publish
from streamer.publishing.recorded_device import RecordedDevice
from streamer.publishing.sending import Sending
from streamer.settings import Settings
from streamer.tools.replayed_events import align_replayed
from streamer.training.classification_scores import ConfusionMatrix
from streamer.training.judgement import judge as judge_scores
from streamer.training.train import train
from streamer.training.variation import IN_ANY_ORIENTATION, make_copies

LEARNED_FROM = 12
STEP_US = 20_000

Kind = Callable[[RawRecording, np.random.Generator], RawRecording]
"""Make of a recording at 50 Hz what a device of some kind would have measured."""


def sample(series: SensorSeries, times_us: Ints) -> SensorSeries:
    """Return what a sensor measures at these times, by a cubic spline through what is known."""
    first, last = series.times_us[[0, -1]]
    times_us = times_us[(times_us >= first) & (times_us <= last)]
    return SensorSeries(times_us, CubicSpline(series.times_us, series.values)(times_us))


def both(raw: RawRecording, times_us: Ints) -> RawRecording:
    """Sample both sensors at these times."""
    assert raw.gyro is not None
    return replace(raw, acc=sample(raw.acc, times_us), gyro=sample(raw.gyro, times_us))


def at_rate(raw: RawRecording, _: np.random.Generator, rate_hz: float) -> RawRecording:
    """A steady rate that is not 50 Hz. Nothing is filtered."""
    count = int((raw.end_us - raw.start_us) * rate_hz / 1e6) + 1
    return both(raw, np.round(np.arange(count) * (1e6 / rate_hz)).astype(np.int64))


def apart(raw: RawRecording, _: np.random.Generator) -> RawRecording:
    """Each sensor has records of its own; rotation is measured 7 ms after acceleration."""
    assert raw.gyro is not None
    return replace(raw, gyro=sample(raw.gyro, raw.gyro.times_us + 7_000))


def jittery(raw: RawRecording, rng: np.random.Generator) -> RawRecording:
    """Times deviate by 5 ms (standard deviation)."""
    off_us = rng.normal(0, 5_000, len(raw.acc)).round().astype(np.int64)
    return both(raw, np.unique(raw.acc.times_us + off_us))


def lossy(raw: RawRecording, rng: np.random.Generator) -> RawRecording:
    """A quarter of the samples is lost, each by itself."""
    return both(raw, raw.acc.times_us[rng.random(len(raw.acc)) >= 0.25])


KINDS: dict[str, Kind] = {
    "plain 50 Hz": lambda raw, _: raw,
    "62.5 Hz": partial(at_rate, rate_hz=62.5),
    "100 Hz": partial(at_rate, rate_hz=100),
    "200 Hz": partial(at_rate, rate_hz=200),
    "25 Hz": partial(at_rate, rate_hz=25),
    "sensors 7 ms apart": apart,
    "5 ms of jitter": jittery,
    "25% lost": lossy,
}


def split_people() -> tuple[list[Recording], list[Recording]]:
    """Return the recordings to learn from, and those to judge."""
    learned, judged = [], []
    for recording in read_pocket():
        person = int(recording.subject.removeprefix("motionsense/"))
        (learned if person <= LEARNED_FROM else judged).append(recording)
    return learned, judged


def learn(recordings: list[Recording], path: Path) -> None:
    """Train a model and save it."""
    windows = cut_recordings(
        recordings,
        make_copies=lambda each, rng: make_copies(each, rng, IN_ANY_ORIENTATION),
        feature_set=GRAVITY_FRAME,
    )
    artifact.save(path, train(windows, "motionsense"))


def judge_offline(recordings: list[Recording], path: Path) -> dict[str, object]:
    """Judge the recordings without Kafka."""
    model = artifact.load(path)
    windows = cut_recordings(recordings, feature_set=model.feature_set)
    found = judge_scores(windows, model.card.activities, model.probabilities(windows.features))
    assert found.smoothed_confusion is not None
    return describe("offline", found.window_confusion, found.smoothed_confusion)


def measure(
    recordings: list[Recording], kinds: Sequence[str]
) -> Iterator[tuple[str, RawRecording]]:
    """Yield each recording as a device of each kind, named KIND/RECORDING."""
    for kind in kinds:
        rng = np.random.default_rng(0)
        for recording in recordings:
            raw = replace(as_measured(recording), name=f"{kind}/{recording.device_id}")
            yield kind, KINDS[kind](raw, rng)


async def send(settings: Settings, devices: list[RawRecording]) -> None:
    """Publish all devices as fast as the broker takes it."""
    await topics.ensure(settings, 10)
    length_ms = max(device.end_us - device.start_us for device in devices) / 1000
    start_ms = math.floor(time.time() * 1000 - length_ms - 60_000)
    sending = Sending(batch=50)
    sources = [RecordedDevice(device, start_ms, sending, loop=False) for device in devices]
    timeline = Timeline(start_ms, start_ms + length_ms, math.inf)
    click.echo(await publish(settings, sources, timeline, asyncio.Event()), err=True)


def run(settings: Settings, model: Path) -> None:
    """Label what was published, by the command."""
    flags = ["--bootstrap-servers", settings.bootstrap_servers, "--model", str(model)]
    flags += ["--until-end", "--http-port", "0"]
    subprocess.run([sys.executable, "-m", "streamer", "run", *flags], check=True)


def judge(
    settings: Settings, devices: list[tuple[str, RawRecording]]
) -> Iterator[dict[str, object]]:
    """Yield the figures of each kind of device."""
    for kind in dict.fromkeys(kind for kind, _ in devices):
        segments = {
            raw.name: (Segment(raw.labels[0].activity, 0, (raw.end_us - raw.start_us) // STEP_US),)
            for name, raw in devices
            if name == kind
        }
        found = asyncio.run(align_replayed(settings, segments))
        smoothed, single = (
            ConfusionMatrix.of([true for true, _ in pairs], [label for _, label in pairs])
            for pairs in (found.pairs, found.raw_pairs)
        )
        yield describe(kind, single, smoothed)


def describe(sent: str, single: ConfusionMatrix, smoothed: ConfusionMatrix) -> dict[str, object]:
    """Return the figures of one kind of device."""
    return {
        "benchmark": "devices",
        "sent": sent,
        "windows": smoothed.windows,
        "macro_f1": round(single.macro_f1, 4),
        "smoothed_macro_f1": round(smoothed.macro_f1, 4),
    }


@click.command
@click.option("--model", type=click.Path(path_type=Path), help="Judge this one; train none.")
@click.option("--save", type=click.Path(path_type=Path), help="Where to keep the trained model.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), default=list(KINDS))
def main(model: Path | None, save: Path | None, kinds: tuple[str, ...]) -> None:
    """Print macro-F1 without Kafka, and of each kind of device through Kafka."""
    learned, judged = split_people()
    with tempfile.TemporaryDirectory() as scratch, LocalKafka() as kafka:
        if model is None:
            model = save or Path(scratch, "model.npz")
            learn(learned, model)
        settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers}, None)
        devices = list(measure(judged, kinds))
        asyncio.run(send(settings, [raw for _, raw in devices]))
        run(settings, model)
        report([judge_offline(judged, model), *judge(settings, devices)])


if __name__ == "__main__":
    main()
