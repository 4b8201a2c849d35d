"""One input log, the same every time: people with every fault, in every format, who come and go.

Some of their devices send at other rates, each sensor by itself, or in other units.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from streamer.contracts.readings import Format
from streamer.contracts.records import OneRecord
from streamer.datasets.public_recordings import read_recordings
from streamer.datasets.recording_sources import as_measured
from streamer.publishing.faults import SensorFaults, disturb
from streamer.publishing.publisher import DeviceRecord, DeviceSource
from streamer.publishing.recorded_device import RecordedDevice, records_of
from streamer.publishing.sending import Sending
from streamer.publishing.simulate import SimulatedDevice
from tests.support.other_devices import OTHER_DEVICES, DisturbedDevice, MakeDevice

START_MS = 1_763_906_400_000
TURN_MS = 100
PARTITIONS = 3

FAULTS = SensorFaults(jitter_ms=1.5, gap=0.002, late=0.01, duplicate=0.01, bad=0.01)

Log = list[list[OneRecord]]
"""Records by partition; the offset of each is its place."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A device that sends for a while."""

    device: DeviceSource
    begin_s: float
    end_s: float


def make_log(seconds: float, raw_dir: Path | None = None, seed: int = 0) -> Log:
    """Interleave devices as a broker would have got their records, over so much time."""
    log: Log = [[] for _ in range(PARTITIONS)]
    stays = [*_people(seconds, seed), *_others(seconds, seed)]
    stays += _recorded(raw_dir, seconds) if raw_dir else []
    for turn in range(int(seconds * 1000 / TURN_MS)):
        now_ms = START_MS + turn * TURN_MS
        for stay in stays:
            if stay.begin_s * 1000 <= turn * TURN_MS < stay.end_s * 1000:
                for message in stay.device.until(now_ms):
                    _append(log, message, now_ms)
    return log


def _append(log: Log, message: DeviceRecord, now_ms: int) -> None:
    partition = log[zlib.crc32(message.key or b"") % PARTITIONS]
    key, value, headers, _ = message
    partition.append(OneRecord(key, value, headers, now_ms, len(partition)))


def _people(seconds: float, seed: int) -> list[Stay]:
    stays = []
    for i in range(9):
        sending = Sending(batch=(1, 10, 25)[i % 3], format=list(Format)[i // 3])
        # Those in the middle are silent for longer than the idle timeout, and come back.
        begin, end = (0.0, seconds) if i % 2 else (0.0, seconds * 0.3)
        stays.append(_stay(i, [seed, i], begin, end, sending))
        if end < seconds:
            stays.append(_stay(i, [seed, i, 7], seconds * 0.8, seconds, sending))
    return stays


def _stay(i: int, seed: Sequence[int], begin_s: float, end_s: float, sending: Sending) -> Stay:
    start_ms, samples = START_MS + begin_s * 1000, (end_s - begin_s) * 50
    device = SimulatedDevice(f"person-{i}", seed, start_ms, samples, sending, FAULTS)
    return Stay(device, begin_s, end_s)


def _others(seconds: float, seed: int) -> list[Stay]:
    """Devices whose samples are not the slots of windows, or whose windows are not labelled."""
    stays = []
    for i, (name, make) in enumerate(OTHER_DEVICES.items()):
        sending = Sending(batch=(10, 25, 5)[i % 3])
        begin, end = (0.0, seconds) if i % 2 else (0.0, seconds * 0.3)
        stays.append(_other_stay(name, make, [seed, i, 8], begin, end, sending))
        if end < seconds:
            stays.append(_other_stay(name, make, [seed, i, 9], seconds * 0.8, seconds, sending))
    return stays


def _other_stay(
    name: str,
    make: MakeDevice,
    seed: Sequence[int],
    begin_s: float,
    end_s: float,
    sending: Sending,
) -> Stay:
    rng = np.random.default_rng(seed)
    recording = make(name, end_s - begin_s, rng)
    records = disturb(records_of(recording, START_MS + begin_s * 1000, sending), FAULTS, rng)
    return Stay(DisturbedDevice(records), begin_s, end_s)


def _recorded(raw_dir: Path, seconds: float) -> list[Stay]:
    sending = Sending(batch=5)
    return [
        Stay(RecordedDevice(as_measured(recording), START_MS, sending, loop=False), 0, seconds)
        for recording in islice(read_recordings(raw_dir), 6)
    ]
