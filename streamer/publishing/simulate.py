"""Publishes synthetic people as if their phones sent the readings."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console

from streamer.contracts.encode import encode
from streamer.kafka import topics
from streamer.publishing.due_records import Due, DueRecords, Fate
from streamer.publishing.faults import (
    INTERVAL_US,
    DeviceSamples,
    SensorFaults,
    add_jitter,
    disturb,
)
from streamer.publishing.people import RATE_HZ, Person
from streamer.publishing.publisher import PATIENCE_S, DeviceRecord, Sent, publish, until_interrupted
from streamer.publishing.sending import Sending
from streamer.settings import Settings

_INTERVAL_MS = INTERVAL_US // 1000


class SimulatedDevice:
    """The phone of a synthetic person.

    Attributes:
        fates: counts of what happened to the records so far.

    Args:
        device_id: its name.
        seed: of the person and of the faults.
        start_ms: time of the first sample, since the epoch.
        samples: how many there are; infinite for no end.
        sending: how it publishes.
        faults: the faults to add.
    """

    def __init__(
        self,
        device_id: str,
        seed: Sequence[int],
        start_ms: float,
        samples: float,
        sending: Sending,
        faults: SensorFaults,
    ) -> None:
        self.fates: Counter[Fate] = Counter()
        self._id = device_id
        self._sending = sending
        rng = np.random.default_rng([*seed, 1])
        stream = self._measured(Person([*seed, 0]), round(start_ms * 1000), samples)
        if faults.jitter_ms:
            stream = add_jitter(stream, faults.jitter_ms, sending.batch, rng)
        self._due = DueRecords(disturb(self._written(stream), faults, rng))

    def until(self, time_ms: float) -> Sequence[DeviceRecord]:
        """Return the records that are due at a time (ms since the epoch); each only once."""
        messages = []
        for due in self._due.until(time_ms):
            self.fates[due.fate] += 1
            if due.fate is not Fate.LOST:
                messages.append(due.message)
        return messages

    def _measured(self, person: Person, time_us: int, samples: float) -> Iterator[DeviceSamples]:
        """Yield about one second of samples at a time, in whole records."""
        length = -(-RATE_HZ // self._sending.batch) * self._sending.batch
        while samples > 0:
            values, _ = person.take(int(min(length, samples)))
            samples -= len(values)
            end_us = time_us + len(values) * INTERVAL_US
            yield DeviceSamples(np.arange(time_us, end_us, INTERVAL_US), values)
            time_us = end_us

    def _written(self, stream: Iterator[DeviceSamples]) -> Iterator[Due]:
        size = self._sending.batch
        for time_us, values in stream:
            for i, first_us in enumerate(time_us[::size].tolist()):
                part = values[i * size : (i + 1) * size]
                written = encode(
                    self._id,
                    first_us / 1000,
                    None if size == 1 else _INTERVAL_MS,
                    part,
                    self._sending.format,
                )
                last_us = first_us + (len(part) - 1) * INTERVAL_US
                yield Due(last_us, DeviceRecord(*written, len(part)))


@dataclass(frozen=True, slots=True)
class Simulated:
    """Counts of what was published, and of what happened to the records."""

    sent: Sent
    fates: Counter[Fate]

    def __str__(self) -> str:
        counts = (f"{self.fates[fate]:,} {fate}" for fate in Fate)
        return f"{self.sent}\nrecords: {', '.join(counts)}"


async def simulate(
    settings: Settings,
    sending: Sending,
    *,
    devices: int,
    duration_s: float,
    seed: int,
    faults: SensorFaults,
    console: Console,
) -> Simulated:
    """Publish synthetic people as ``phone-001`` and so on, until their end or Ctrl-C.

    Args:
        settings: where to publish.
        sending: how to publish.
        devices: how many.
        duration_s: length of their samples; infinite for no end.
        seed: the same seed makes the same people with the same faults.
        faults: the faults to add.
        console: shows the progress.

    Raises:
        DataError: the start is in the future.
        KafkaError: no broker answers, or it does not accept what is sent.
    """
    await topics.ensure_readings(settings, PATIENCE_S)
    samples = math.inf if duration_s == math.inf else math.ceil(duration_s * RATE_HZ)
    # One interval longer, because jitter may delay the last sample.
    timeline = sending.timeline(samples * _INTERVAL_MS)
    phones = [
        SimulatedDevice(
            f"phone-{i + 1:03d}", (seed, i), timeline.start_ms, samples, sending, faults
        )
        for i in range(devices)
    ]
    with until_interrupted() as stop, console.status("connecting") as status:
        sent = await publish(
            settings,
            phones,
            timeline,
            stop,
            lambda sent: status.update(f"{devices} devices: {sent}"),
        )
    return Simulated(sent, sum((phone.fates for phone in phones), Counter()))
