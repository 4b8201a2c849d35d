"""Computes the capacity that a number of devices needs, from measured costs.

`docs/scaling.md` explains the figures, and `docs/performance.md` says how they were measured. They
come from one machine; measure your own and scale them.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from streamer.contracts.encode import encode
from streamer.contracts.readings import Format
from streamer.features.window_shape import WINDOW
from streamer.predict.quotas import AMAZON_ML_ACCOUNT_CALLS_PER_S, AMAZON_ML_CALLS_PER_S

US_PER_SAMPLE = {Format.JSON: 1.4, Format.MSGPACK: 1.9, Format.F32: 1.3}
"""Time that a worker needs for a sample, in microseconds, with thousands of live devices. It is the
time that was measured on one core at full load, plus a tenth for the default model, plus half,
because usual fetches are smaller."""

US_PER_RECORD = {Format.JSON: 0.4, Format.MSGPACK: 3.0, Format.F32: 0.3}
"""Time that a worker needs for a record besides its samples, in microseconds. Compiled readers read
the usual JSON and f32, and they are faster."""

LOAD = 0.5
"""Largest share of its time that a worker should be busy. It needs the rest to catch up, and for
the partitions of a worker that has died."""

WORKER_MB = 300
"""Memory of a worker without any device."""

DEVICE_KB = 43
"""Memory that a live device needs."""

MOST_DEVICES = 5000
"""Devices that a partition should have at most: a recovery of so many takes about 15 s."""

BROKER_MB = 50
"""Megabytes that a broker on modest hardware writes in a second, those of its replicas included."""

EVENT_BYTES = 1030
"""Size of an event of the default model with its key, before compression."""

RECORD_OVERHEAD = 12
"""Bytes that Kafka adds to the key and the value of a record."""

PARTITIONS_A_BROKER = 4000
"""Partitions that a broker can have at most."""

CALL_WINDOWS = 64
"""Windows in a call of SageMaker."""


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
        devices: how many are live at the same time.
        rate_hz: samples that each of them sends in a second.
        batch: samples in a record.
        form: format of the records.
        replicas: replication factor of the topics.
        retention_h: how long readings are kept, in hours.
    """
    samples_s = devices * rate_hz
    records_s = samples_s / batch
    windows_s = samples_s / WINDOW.hop
    readings_mb_s = records_s * _reading_bytes(batch, form) / 1e6
    events_mb_s = windows_s * EVENT_BYTES / 1e6
    busy = (samples_s * US_PER_SAMPLE[form] + records_s * US_PER_RECORD[form]) / 1e6
    workers = max(1, ceil(busy / LOAD))
    # There are twice as many partitions as workers, so that workers share evenly and more can join.
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
        return "the brokers: records of one sample are too many; send several samples in a record"
    return "nothing soon; with ten times as many devices, the network of the brokers"


def _reading_bytes(batch: int, form: Format) -> int:
    """Return the size of a record of typical samples with five decimals."""
    samples = np.random.default_rng(0).normal(size=(batch, 6)).round(5)
    interval_ms = None if batch == 1 else WINDOW.step_us / 1000
    key, value, headers = encode("phone-0123456789", 1.7e12, interval_ms, samples, form)
    return len(key) + len(value) + sum(len(n) + len(v or b"") for n, v in headers) + RECORD_OVERHEAD
