"""Computes the capacity that a number of devices needs, from measured costs.

`docs/scaling.md` explains the figures, and `docs/performance.md` says how they were measured. They
come from one machine; measure your own and scale them.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from streamer.contracts.encode import encode
from streamer.contracts.readings import Format
from streamer.features import UCI_HAR
from streamer.predict.quotas import AMAZON_ML_ACCOUNT_CALLS_PER_S, AMAZON_ML_CALLS_PER_S

US_PER_SAMPLE = {Format.JSON: 1.3, Format.MSGPACK: 1.8, Format.F32: 1.2}
"""A worker's time for a sample in a large batch of one of thousands of live devices: what a worker
on one core takes at its limit, and half as much again for fetches that are smaller."""

US_PER_RECORD = {Format.JSON: 0.4, Format.MSGPACK: 3.0, Format.F32: 0.3}
"""And for each record; usual JSON and f32 are read by compiled readers."""

LOAD = 0.5
"""Of a worker, at most: the rest is for catching up, and for the partitions of one that died."""

WORKER_MB = 300
DEVICE_KB = 38

MOST_DEVICES = 5000
"""Of a partition: building so many again takes some fifteen seconds."""

BROKER_MB = 50
"""What a broker takes in a second, its replicas' too: modest hardware."""

EVENT_BYTES = 1000
"""Of an event of the shipped model, before compression."""

RECORD_OVERHEAD = 12
"""Bytes of Kafka's, beside key and value."""

PARTITIONS_A_BROKER = 4000

CALL_WINDOWS = 64
"""In a call of SageMaker."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The capacity that is needed; bytes are before compression."""

    samples_s: float
    records_s: float
    windows_s: float
    readings_mb_s: float
    events_mb_s: float
    workers: int
    partitions: int
    worker_memory_mb: float
    brokers: int
    storage_gb: float
    amazon_ml_endpoints: int
    sagemaker_calls_s: float
    breaks_first: str


def make_plan(
    devices: int,
    rate_hz: float,
    batch: int,
    form: Format,
    replicas: int,
    retention_h: float,
) -> Plan:
    """Compute the capacity that devices need.

    Args:
        devices: live at the same time.
        rate_hz: samples a second of each.
        batch: samples a record.
        form: of the records.
        replicas: of the topics.
        retention_h: how long readings are kept, in hours.
    """
    samples_s = devices * rate_hz
    records_s = samples_s / batch
    windows_s = samples_s / UCI_HAR.hop
    readings_mb_s = records_s * _reading_bytes(batch, form) / 1e6
    events_mb_s = windows_s * EVENT_BYTES / 1e6
    busy = (samples_s * US_PER_SAMPLE[form] + records_s * US_PER_RECORD[form]) / 1e6
    workers = max(1, ceil(busy / LOAD))
    # Twice as many as workers, so that they share evenly and more can join.
    partitions = max(2 * workers, ceil(devices / MOST_DEVICES))
    brokers = max(replicas, ceil((readings_mb_s + events_mb_s) * replicas / BROKER_MB))
    return Plan(
        samples_s=samples_s,
        records_s=records_s,
        windows_s=windows_s,
        readings_mb_s=readings_mb_s,
        events_mb_s=events_mb_s,
        workers=workers,
        partitions=partitions,
        worker_memory_mb=WORKER_MB + devices / workers * DEVICE_KB / 1000,
        brokers=brokers,
        storage_gb=(readings_mb_s + events_mb_s) * 3600 * retention_h * replicas / 1000,
        amazon_ml_endpoints=ceil(windows_s / AMAZON_ML_CALLS_PER_S),
        sagemaker_calls_s=windows_s / CALL_WINDOWS,
        breaks_first=_breaks_first(windows_s, batch, partitions, brokers),
    )


def _breaks_first(windows_s: float, batch: int, partitions: int, brokers: int) -> str:
    """Return the first bottleneck."""
    if partitions > PARTITIONS_A_BROKER * brokers:
        return f"Kafka: {partitions:,} partitions are too many for {brokers:,} brokers"
    if windows_s > AMAZON_ML_ACCOUNT_CALLS_PER_S:
        return "Amazon ML: an account has 10,000 predictions a second; use SageMaker or `local`"
    if windows_s > AMAZON_ML_CALLS_PER_S:
        return "Amazon ML: an endpoint has 200 predictions a second; `sagemaker` and `local` fit"
    if batch == 1:
        return "the brokers: single samples are many records; batches cost a fraction"
    return "nothing soon; the brokers' network when devices are ten times as many"


def _reading_bytes(batch: int, form: Format) -> int:
    """Return the size of a record of typical samples with five decimals."""
    samples = np.random.default_rng(0).normal(size=(batch, 6)).round(5)
    interval_ms = None if batch == 1 else UCI_HAR.step_us / 1000
    key, value, headers = encode("phone-0123456789", 1.7e12, interval_ms, samples, form)
    return len(key) + len(value) + sum(len(n) + len(v or b"") for n, v in headers) + RECORD_OVERHEAD
