"""Measures what devices of other rates and other formats cost, relative to plain ones in one run.

    python benchmarks/device_cost.py [--repeat 5] [--part windows] [--part formats]

Windows: processor time from samples to closed windows, and of all that a worker computes from
records to events, of devices at 50 Hz with both sensors, at other rates, and with separate sensors.
Formats: decoding of records by each profile of the package, and by some of MessagePack, Avro and
Protobuf, relative to the contract's JSON of as many samples. It is one long module, because both
parts measure the same devices in one run.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from google.protobuf import message_factory

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import report
from streamer.arrays import Floats, Ints
from streamer.contracts.decode import decode
from streamer.contracts.encode import encode
from streamer.contracts.events import encode_event
from streamer.contracts.records import OneRecord, Records
from streamer.features.window_shape import WINDOW
from streamer.flow.partition_state import PartitionState
from streamer.flow.pipeline import predict_windows
from streamer.flow.rejects import RejectLimit
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.predict.answers import make_ask
from streamer.predict.chosen_models import choose_feature_set
from streamer.predict.local_predictor import LocalPredictor
from streamer.process.memory import keep_freed_memory
from streamer.profiles.avro_values import AvroReader, make_avro_writer
from streamer.profiles.profile import load_record_layout
from streamer.profiles.profile_decoder import ProfileDecoder
from streamer.profiles.protobuf_values import ProtobufReader
from streamer.profiles.record_layout import FRAME, RecordLayout
from streamer.settings import Settings
from streamer.stream.partition import PartitionWindows
from streamer.stream.position import Position
from streamer.stream.rules import Rules
from streamer.stream.samples import Samples
from streamer.stream.windows import ClosedWindows

START_US = 1_763_906_400_000_000
SECONDS, DEVICES, FETCHES = 60, 20, 20
BATCH = 50
"""Samples of a record, from which a worker computes events."""
RECORDS = {1: 4000, 50: 200}
"""Records of a fetch, by their samples; a worker processes at most 4 MB at a time."""

KINDS: dict[str, tuple[float, bool]] = {
    "plain 50 Hz": (50, False),
    "25 Hz": (25, False),
    "100 Hz": (100, False),
    "200 Hz": (200, False),
    "50 Hz, sensors apart": (50, True),
    "100 Hz, sensors apart": (100, True),
}
"""Rate, and whether each sensor has samples of its own."""


def best_s(repeat: int, job: Callable[[], object]) -> float:
    """Return the least processor time of several runs."""
    times = []
    for _ in range(repeat):
        began_s = time.process_time()
        job()
        times.append(time.process_time() - began_s)
    return min(times)


def fetches(rate_hz: float, apart: bool) -> list[Samples]:
    """Return what some devices send at this rate, in some fetches."""
    count = int(SECONDS * rate_hz)
    values = np.random.default_rng(0).normal(size=(count, 6)) * 0.1 + (1, 0, 0, 0, 0, 0)
    times_us: Ints = START_US + np.round(np.arange(count) * (1e6 / rate_hz)).astype(np.int64)
    if apart:
        acc, gyro = values.copy(), values.copy()
        acc[:, 3:] = np.nan
        gyro[:, :3] = np.nan
        values = np.stack([acc, gyro], axis=1).reshape(-1, 6)
        times_us = np.stack([times_us, times_us + 7_000], axis=1).ravel()
    ids, found = [f"phone-{i}" for i in range(DEVICES)], []
    for part in np.array_split(np.arange(len(times_us)), FETCHES):
        device = np.tile(np.arange(DEVICES), len(part))
        record = np.arange(len(device))
        kafka_us = np.repeat(times_us[part], DEVICES)
        found.append(
            Samples(
                ids,
                device,
                kafka_us,
                np.repeat(values[part], DEVICES, axis=0),
                record,
                record + part[0] * DEVICES,
                kafka_us,
                np.zeros(len(device), np.bool_),
            )
        )
    return found


def window(parts: list[Samples]) -> list[ClosedWindows]:
    """Return the windows that close."""
    partition = PartitionWindows(Rules(), WINDOW)
    return [each for part in parts for each in partition.push(part).windows]


def record_fetches(rate_hz: float, apart: bool) -> list[Records]:
    """Return the records of the same devices, in some fetches."""
    rng, step_ms = np.random.default_rng(0), 1000 / rate_hz
    log = []
    for i in range(int(SECONDS * rate_hz) // BATCH):
        begin_ms = START_US / 1000 + i * BATCH * step_ms
        for device in range(DEVICES):
            values = rng.normal(size=(BATCH, 6)) * 0.1 + (1, 0, 0, 0, 0, 0)
            values = values.round(5)
            acc, gyro = values.copy(), values.copy()
            acc[:, 3:] = np.nan
            gyro[:, :3] = np.nan
            for each, late_ms in ((acc, 0), (gyro, 7)) if apart else ((values, 0),):
                key, value, headers = encode(f"phone-{device}", begin_ms + late_ms, step_ms, each)
                kafka_ms = int(begin_ms + BATCH * step_ms)
                log.append(OneRecord(key, value, headers, kafka_ms, len(log)))
    size = -(-len(log) // FETCHES)
    return [Records.of(log[i : i + size]) for i in range(0, len(log), size)]


SETTINGS = Settings()
FEATURE_SET = choose_feature_set(SETTINGS)
ASK = make_ask(LocalPredictor(artifact.load(artifact.DEFAULT_MODEL)))


def process(log: list[Records]) -> int:
    """Do all that a worker computes, and return how many events there are."""
    metrics, events = Metrics(), 0
    limit = RejectLimit(1, 1, lambda: 0.0)
    state = PartitionState(SETTINGS, metrics, Position(0, 0), limit, FEATURE_SET)
    for records in log:
        computed = state.compute(records, int(records.offset[-1]) + 1)
        output = state.label(asyncio.run(predict_windows(computed, ASK, metrics)))
        events += len([encode_event(event) for event in output.events])
    return events


def measure_windows(repeat: int) -> Iterator[dict[str, object]]:
    """Yield the cost of each kind of device."""
    plain_s = plain_whole_s = plain_decode_s = 0.0
    for kind, (rate_hz, apart) in KINDS.items():
        parts = fetches(rate_hz, apart)
        log = record_fetches(rate_hz, apart)
        window(parts)
        assert process(log) > 0
        spent_s = best_s(repeat, lambda parts=parts: window(parts))
        decode_s = best_s(repeat, lambda log=log: [decode(each, 1_000_000) for each in log])
        whole_s = best_s(repeat, lambda log=log: process(log))
        plain_s, plain_whole_s = plain_s or spent_s, plain_whole_s or whole_s
        plain_decode_s = plain_decode_s or decode_s
        samples = SECONDS * rate_hz * DEVICES
        yield {
            "benchmark": "device windows",
            "kind": kind,
            "ns_a_sample": round(spent_s / samples * 1e9),
            "us_a_second_of_a_device": round(spent_s / SECONDS / DEVICES * 1e6, 1),
            "ratio_a_sample": round(spent_s / samples / (plain_s / (SECONDS * 50 * DEVICES)), 2),
            "ratio_a_device": round(spent_s / plain_s, 2),
            "decode": round(decode_s / plain_decode_s, 2),
            "worker": round(whole_s / plain_whole_s, 2),
            "worker_us": round(whole_s / SECONDS / DEVICES * 1e6, 1),
        }


Write = Callable[[str, float, Floats], object]
"""Make of a device, a time in ms and samples (n, 6) what its program writes in a record."""


def xyz(values: Floats, names: str = "xyz") -> dict[str, float]:
    """Name the axes of a vector."""
    return dict(zip(names, values.tolist(), strict=True))


def write_sensorlog(device: str, time_ms: float, samples: Floats) -> object:
    """Write what the app SensorLog sends."""
    stamp = np.datetime64(int(time_ms), "ms")
    names = [f"accelerometerAcceleration{axis}(G)" for axis in "XYZ"]
    names += [f"gyroRotation{axis}(rad/s)" for axis in "XYZ"]
    numbers = dict(zip(names, map(str, samples[0].tolist()), strict=True))
    return {"loggingTime(txt)": f"{stamp}+00:00", "deviceID(txt)": device, **numbers}


def write_coremotion(device: str, time_ms: float, samples: Floats) -> object:
    """Write a CMDeviceMotion."""
    return {
        "device_id": device,
        "timestamp": time_ms / 1000,
        "userAcceleration": xyz(samples[0, :3]),
        "gravity": xyz(samples[0, :3]),
        "rotationRate": xyz(samples[0, 3:]),
    }


def write_web(_: str, time_ms: float, samples: Floats) -> object:
    """Write a DeviceMotion event."""
    return {
        "timestamp": time_ms,
        "accelerationIncludingGravity": xyz(samples[0, :3]),
        "rotationRate": dict(zip(("beta", "gamma", "alpha"), samples[0, 3:].tolist(), strict=True)),
    }


def write_connect(device: str, time_ms: float, samples: Floats) -> object:
    """Write a row with its schema."""
    names = ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]
    columns = [{"type": "double", "optional": False, "field": name} for name in names]
    return {
        "schema": {"type": "struct", "optional": False, "fields": columns},
        "payload": {
            "device_id": device,
            "timestamp": time_ms,
            **dict(zip(names, samples[0].tolist(), strict=True)),
        },
    }


def named(
    device: str, time_ms: float, samples: Floats, with_gravity: bool = False
) -> dict[str, Any]:
    """Write a list of named readings, as Sensor Logger does."""
    payload = []
    for i, sample in enumerate(samples):
        time_ns = int((time_ms + i * 20) * 1e6)
        vectors = {"accelerometer": sample[:3], "gyroscope": sample[3:]}
        if with_gravity:
            vectors["gravity"] = sample[:3]
        payload += [
            {"name": name, "time": time_ns, "values": xyz(vector)}
            for name, vector in vectors.items()
        ]
    return {"messageId": 1, "sessionId": "s", "deviceId": device, "payload": payload}


NAMED_LAYOUT = {
    "device_field": "deviceId",
    "time": {"field": "payload[].time", "unit": "ns"},
    **{
        sensor: {
            "where": {"payload[].name": name},
            "fields": [f"payload[].values.{axis}" for axis in "xyz"],
            "unit": unit,
        }
        for sensor, name, unit in (("acc", "accelerometer", "g"), ("gyro", "gyroscope", "rad/s"))
    },
}
VECTOR = {
    "type": "record",
    "name": "Vector",
    "fields": [{"name": axis, "type": "double"} for axis in "xyz"],
}
READING = {
    "type": "record",
    "name": "Reading",
    "fields": [
        {"name": "name", "type": "string"},
        {"name": "time", "type": "long"},
        {"name": "values", "type": VECTOR},
    ],
}
AVRO: dict[str, Any] = {
    "type": "record",
    "name": "Push",
    "fields": [
        {"name": "deviceId", "type": "string"},
        {"name": "payload", "type": {"type": "array", "items": READING}},
    ],
}

PROTOBUF = """
syntax = "proto3";
message Push { string deviceId = 1; repeated Reading payload = 2; }
message Reading { string name = 1; int64 time = 2; Vector values = 3; }
message Vector { double x = 1; double y = 2; double z = 3; }
"""


def formats() -> Iterator[tuple[str, int, ProfileDecoder, Write, Callable[[Any], bytes]]]:
    """Yield each format: samples a record, its decoder, and how a record is written."""
    for name, samples, write in (
        ("sensorlog", 1, write_sensorlog),
        ("coremotion", 1, write_coremotion),
        ("web", 1, write_web),
        ("kafka-connect", 1, write_connect),
        ("sensor-logger", 50, lambda *given: named(*given, with_gravity=True)),
    ):
        layout = load_record_layout(name)
        yield name, samples, ProfileDecoder(layout), write, lambda data: json.dumps(data).encode()
    layout = RecordLayout.model_validate(NAMED_LAYOUT | {"encoding": "msgpack"})
    yield "named readings, msgpack", 50, ProfileDecoder(layout), named, msgspec.msgpack.encode
    layout = RecordLayout.model_validate(NAMED_LAYOUT | {"encoding": "avro"})
    read = AvroReader({"schema.avsc": json.dumps(AVRO)})
    decoder = ProfileDecoder(layout, lambda value: read(value[FRAME:]), lambda _: read.schema)
    yield "named readings, avro", 50, decoder, named, make_avro_writer(1, AVRO)
    layout = RecordLayout.model_validate(NAMED_LAYOUT | {"encoding": "protobuf"})
    reader = ProtobufReader({"schema.proto": PROTOBUF})
    message = message_factory.GetMessageClass(reader.schema[(0,)])
    decoder = ProfileDecoder(layout, lambda value: reader(value[FRAME:]), lambda _: reader.schema)

    def pack(data: dict[str, Any]) -> bytes:
        del data["messageId"], data["sessionId"]
        # The frame, and the path of the first message.
        return bytes(FRAME + 1) + bytes(message(**data).SerializeToString())

    yield "named readings, protobuf", 50, decoder, named, pack


def records_of(samples: int, write: Callable[[str, float, Floats], bytes]) -> Records:
    """Return a fetch of records of many devices in turn."""
    rng, found = np.random.default_rng(1), []
    for offset in range(RECORDS[samples]):
        time_ms = START_US / 1000 + offset
        device = f"phone-{offset % 200}"
        value = write(device, time_ms, rng.normal(size=(samples, 6)).round(5))
        found.append(OneRecord(device.encode(), value, (), int(time_ms) + 10_000, offset))
    return Records.of(found)


def measure_formats(repeat: int) -> Iterator[dict[str, object]]:
    """Yield the cost of each format."""
    contract = {}
    for samples in (1, 50):
        fetch = records_of(
            samples,
            lambda device, time_ms, values: encode(
                device, time_ms, 20 if len(values) > 1 else None, values
            )[1],
        )
        contract[samples] = best_s(repeat, lambda fetch=fetch: decode(fetch, 1_000_000))
    for name, samples, decoder, write, pack in formats():
        fetch = records_of(samples, lambda *given, w=write, p=pack: p(w(*given)))
        decoded = decoder.decode(fetch, 1_000_000)
        count = RECORDS[samples] * samples
        assert len(decoded.record) == count, decoded.rejects[:1]
        spent_s = best_s(repeat, lambda d=decoder, f=fetch: d.decode(f, 1_000_000))
        yield {
            "benchmark": "device formats",
            "format": name,
            "samples_a_record": samples,
            "us_a_sample": round(spent_s / count * 1e6, 2),
            "bytes_a_sample": round(len(fetch.buffer) / count),
            "ratio_to_contract": round(spent_s / contract[samples], 2),
        }


@click.command()
@click.option("--repeat", default=5, show_default=True, help="Runs; the best one counts.")
@click.option("--part", type=click.Choice(["windows", "formats"]), multiple=True)
def main(repeat: int, part: tuple[str, ...]) -> None:
    """Print the cost of each kind of device and of each format, and its ratio to a plain one."""
    part = part or ("windows", "formats")
    keep_freed_memory()
    if "windows" in part:
        report(list(measure_windows(repeat)))
    if "formats" in part:
        report(list(measure_formats(repeat)))


if __name__ == "__main__":
    main()
