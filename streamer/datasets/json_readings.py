"""Reads a file of JSON records as devices publish them: of the contract, or of a profile."""

from dataclasses import replace
from pathlib import Path

import msgspec

from streamer.contracts.readings import ACC, GYRO, Decoded
from streamer.contracts.records import OneRecord, Records
from streamer.datasets.raw_recording import RawRecording, SensorSeries
from streamer.errors import DataError
from streamer.profiles.choose_decoder import Decoder

JSON_FILES = frozenset({".json", ".jsonl", ".ndjson"})
"""Suffixes of the names of such files."""

_FILE_TIME_MS = 4_102_444_800_000
"""Kafka timestamp of the records of a file: the year 2100, so that no reading is in the future."""


def read_json_file(path: Path, decode: Decoder) -> tuple[list[OneRecord], Decoded]:
    """Read records unchanged, with the id of the device as the key, and decode them.

    Args:
        path: a file with a record in each line, or with a single one.
        decode: decodes records.

    Raises:
        DataError: the file cannot be read, or is empty.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    lines = [line for line in content.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty")
    values = lines if all(line.rstrip().endswith(b"}") for line in lines) else [content]
    records = [
        OneRecord(_find_key(value, path), value, (), _FILE_TIME_MS, offset)
        for offset, value in enumerate(values)
    ]
    decoded = decode(Records.of(records), 1)
    for record, device in dict(zip(decoded.record, decoded.device, strict=True)).items():
        records[record] = replace(records[record], key=decoded.device_ids[device].encode())
    return records, decoded


def read_json_records(path: Path, decode: Decoder) -> list[RawRecording]:
    """Read the readings of each device.

    Args:
        path: a file with a record in each line, or with a single one.
        decode: decodes records.

    Raises:
        DataError: the file cannot be read, or a record is not a reading; says which and why.
    """
    _, decoded = read_json_file(path, decode)
    if decoded.rejects:
        reject = decoded.rejects[0]
        raise DataError(f"{path}, record {reject.record + 1} is rejected: {reject.detail}")
    return [_take_device(decoded, device, path) for device in range(len(decoded.device_ids))]


class _HasDevice(msgspec.Struct):
    device_id: str


def _find_key(value: bytes, path: Path) -> bytes:
    """Return the key of a record of the contract: the device's id, or else the file's name."""
    try:
        return msgspec.json.decode(value, type=_HasDevice).device_id.encode()
    except msgspec.MsgspecError:
        return path.stem.encode()


def _take_device(decoded: Decoded, device: int, path: Path) -> RawRecording:
    own = decoded.device == device

    def take(sensor: int, columns: slice) -> SensorSeries:
        rows = own & (decoded.sensors & sensor > 0)
        return SensorSeries.of(decoded.time_us[rows], decoded.values[rows, columns])

    name = decoded.device_ids[device]
    acc, gyro = take(ACC, slice(0, 3)), take(GYRO, slice(3, 6))
    if not len(acc):
        raise DataError(f"{path} has no acceleration of {name}")
    return RawRecording(name, name, acc, gyro if len(gyro) else None)
