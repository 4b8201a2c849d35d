"""Readings in Avro, Protobuf and JSON Schema, framed as the serializers of a registry do it."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.contracts.readings import RejectReason
from streamer.contracts.records import Records
from streamer.errors import RegistryError, SettingsError
from streamer.profiles.choose_decoder import load_readers, make_decoder
from streamer.profiles.profile_decoder import ProfileDecoder
from streamer.profiles.record_layout import RecordLayout
from streamer.settings import Settings
from tests.support.records import NOW_MS, SKEW_US, ARecord

pytest.importorskip("fastavro")
pytest.importorskip("grpc_tools")
pytest.importorskip("confluent_kafka.schema_registry")

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from fastavro import parse_schema, schemaless_writer
from google.protobuf import descriptor_pool, message_factory

from streamer.profiles.avro_values import AvroReader
from streamer.profiles.avro_walk import read_avro_records
from streamer.profiles.framed import FramedDecoder
from streamer.profiles.protobuf_values import ProtobufReader, compile_schemas
from streamer.profiles.protobuf_walk import read_protobuf_records

AXES = [{"name": axis, "type": "float"} for axis in "xyz"]
AVRO: dict[str, Any] = {
    "type": "record",
    "name": "Reading",
    "fields": [
        {"name": "device_id", "type": "string"},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "acc", "type": {"type": "record", "name": "Axes", "fields": AXES}},
        {"name": "gyro", "type": ["null", "Axes"]},
    ],
}
PROTO = """
syntax = "proto3";
package readings;
message Envelope {
  message Axes { float x = 1; float y = 2; float z = 3; }
  message Reading { string device_id = 1; int64 timestamp = 2; Axes acc = 3; Axes gyro = 4; }
}
"""
LAYOUT: dict[str, Any] = {
    "device_field": "device_id",
    "time": {"field": "timestamp"},
    "acc": {"fields": ["acc.x", "acc.y", "acc.z"], "unit": "g"},
    "gyro": {"fields": ["gyro.x", "gyro.y", "gyro.z"], "unit": "rad/s"},
}
READING: dict[str, Any] = {
    "device_id": "watch",
    "timestamp": NOW_MS,
    "acc": {"x": 0.0, "y": -0.5, "z": 1.0},
    "gyro": {"x": 0.25, "y": 0.0, "z": 2.0},
}
VALUES = [0, -0.5, 1, 0.25, 0, 2]


def in_avro(reading: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    schemaless_writer(out, parse_schema(AVRO), reading)
    return out.getvalue()


def in_protobuf(reading: dict[str, Any]) -> bytes:
    pool = descriptor_pool.DescriptorPool()
    for file in compile_schemas({"schema.proto": PROTO}).file:
        pool.Add(file)
    found = pool.FindMessageTypeByName("readings.Envelope.Reading")
    data: bytes = message_factory.GetMessageClass(found)(**reading).SerializeToString()
    # Two levels: the first message of the file, and the second one in it.
    return bytes([4, 0, 2]) + data


def framed(number: int, data: bytes) -> ARecord:
    return ARecord(b"watch", b"\0" + number.to_bytes(4, "big") + data)


def toml(folder: Path, encoding: str) -> str:
    path = folder / f"{encoding}.toml"
    lines = [f'[records]\nencoding = "{encoding}"\ndevice_field = "device_id"']
    lines.append('[records.time]\nfield = "timestamp"')
    for sensor in ("acc", "gyro"):
        fields, unit = LAYOUT[sensor]["fields"], LAYOUT[sensor]["unit"]
        lines.append(f'[records.{sensor}]\nfields = {json.dumps(fields)}\nunit = "{unit}"')
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("encoding", ["avro", "protobuf", "json-schema"])
def test_readings_are_decoded_with_the_schemas_of_a_real_registry(
    registry: str, encoding: str, tmp_path: Path
) -> None:
    data, schema = {
        "avro": (in_avro(READING), Schema(json.dumps(AVRO), "AVRO")),
        "protobuf": (in_protobuf(READING), Schema(PROTO, "PROTOBUF")),
        "json-schema": (
            json.dumps(READING).encode(),
            Schema('{"$schema": "http://json-schema.org/draft-07/schema#"}', "JSON"),
        ),
    }[encoding]
    with SchemaRegistryClient({"url": registry}) as client:
        number = client.register_schema(f"{encoding}-value", schema)
    decode = make_decoder(toml(tmp_path, encoding), registry)
    sent = [framed(number, data), framed(number, data[:-3]), ARecord(b"watch", b"\1{}")]
    if encoding != "json-schema":
        sent.append(framed(987_654, data))
    decoded = decode(Records.of(sent), SKEW_US)
    assert decoded.device_ids == ["watch"]
    assert decoded.time_us.tolist() == [NOW_MS * 1000]
    np.testing.assert_array_equal(decoded.values, [VALUES])
    reasons = [RejectReason.MALFORMED, RejectReason.MALFORMED, RejectReason.SCHEMA]
    assert [reject.reason for reject in decoded.rejects] == reasons[: len(sent) - 1]


def test_a_registry_that_does_not_answer_rejects_nothing(tmp_path: Path) -> None:
    decode = make_decoder(toml(tmp_path, "avro"), "http://127.0.0.1:9")
    with pytest.raises(RegistryError, match="none is skipped"):
        decode(Records.of([framed(1, in_avro(READING))]), SKEW_US)


def test_a_profile_of_avro_without_a_registry_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a profile of avro needs schema_registry"):
        Settings.load({"readings_format": toml(tmp_path, "avro")}, None)


READERS: dict[str, AvroReader | ProtobufReader] = {
    "avro": AvroReader({"schema.proto": json.dumps(AVRO)}),
    "protobuf": ProtobufReader({"schema.proto": PROTO}),
}


def by_registry(encoding: str) -> ProfileDecoder:
    """Return a decoder that has asked for schema 7."""
    framed_decoder = FramedDecoder(encoding, "http://127.0.0.1:9", None)
    framed_decoder._readers[7] = READERS[encoding]
    layout = RecordLayout.model_validate(LAYOUT | {"encoding": encoding})
    return ProfileDecoder(layout, framed_decoder.decode, framed_decoder.find_schema)


@pytest.mark.parametrize("encoding", ["avro", "protobuf"])
def test_a_worker_that_warms_up_loads_the_compiled_reader_and_asks_no_registry(
    encoding: str, tmp_path: Path
) -> None:
    load_readers(toml(tmp_path, encoding))
    kernel: Any = read_avro_records if encoding == "avro" else read_protobuf_records
    loaded = list(kernel.signatures)
    assert loaded
    written = in_avro(READING) if encoding == "avro" else in_protobuf(READING)
    decoded = by_registry(encoding).decode(Records.of([framed(7, written)]), SKEW_US)
    assert decoded.time_us.tolist() == [NOW_MS * 1000]
    assert kernel.signatures == loaded


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["avro", "protobuf"]), st.binary(max_size=80), st.integers(0, 60))
def test_bytes_that_are_not_a_reading_are_rejected(encoding: str, noise: bytes, keep: int) -> None:
    whole = in_avro(READING) if encoding == "avro" else in_protobuf(READING)
    decoded = by_registry(encoding).decode(Records.of([framed(7, whole[:keep] + noise)]), SKEW_US)
    assert len(decoded.rejects) + len(decoded.time_us) == 1


def test_a_missing_field_of_a_message_is_a_missing_sensor() -> None:
    reading = {name: READING[name] for name in ("device_id", "timestamp", "acc")}
    layout = RecordLayout.model_validate(LAYOUT | {"encoding": "protobuf"})
    decoder = ProfileDecoder(layout, READERS["protobuf"])
    decoded = decoder.decode(Records.of([ARecord(b"d", in_protobuf(reading))]), SKEW_US)
    assert decoded.sensors.tolist() == [1]


def test_schemas_that_import_others_are_compiled_with_them() -> None:
    axes = 'syntax = "proto3"; message Axes { float x = 1; }'
    main = 'syntax = "proto3"; import "dir/axes.proto"; message Reading { Axes acc = 1; }'
    read = ProtobufReader({"dir/axes.proto": axes, "schema.proto": main})
    assert read(b"\0\x0a\x05\x0d\x00\x00\x80\x3f") == {"acc": {"x": 1.0}}
    with pytest.raises(ValueError, match="not a name of a schema"):
        ProtobufReader({"../axes.proto": axes, "schema.proto": main})
