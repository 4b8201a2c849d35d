"""Readings in Protobuf: the compiled reader, and what it leaves to the general one."""

import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.contracts.records import Records
from streamer.profiles.profile_decoder import ProfileDecoder
from streamer.profiles.record_layout import FRAME, RecordLayout
from tests.support.both_readers import BothReaders, framed
from tests.support.records import NOW_MS, SKEW_US

pytest.importorskip("fastavro")
pytest.importorskip("grpc_tools")
pytest.importorskip("confluent_kafka.schema_registry")

from google.protobuf import message_factory
from google.protobuf.message import DecodeError

from streamer.profiles.fast_framed import FastFramedReader
from streamer.profiles.protobuf_values import ProtobufReader

VECTOR = [f"list[].v.{axis}" for axis in "xyz"]
NAMED = {
    "device_field": "id",
    "time": {"field": "list[].t"},
    "acc": {"where": {"list[].name": "A"}, "fields": VECTOR, "unit": "g"},
    "gyro": {"where": {"list[].name": "G"}, "fields": VECTOR, "unit": "deg/s"},
}
COLUMNS = {
    "time": {"field": "t"},
    "acc": {"fields": ["x[]", "y[]", "z[]"], "unit": "g"},
    "interval_ms": 20,
}
ELEMENTS = {
    "device_field": "id",
    "time": {"field": "name", "unit": "iso8601"},
    "acc": {"fields": ["x.0", "x.1", "x.2"], "unit": "g"},
    "gyro": {"fields": ["list.0.t", "list.2.v.y", "v.z"], "unit": "rad/s"},
}
LAYOUTS = [
    RecordLayout.model_validate(layout | {"encoding": "protobuf"})
    for layout in (NAMED, COLUMNS, ELEMENTS)
]
NUMBERS = ["double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64"]
NUMBERS += ["fixed32", "fixed64", "sfixed32", "sfixed64"]
FIXED = {"double": "<d", "fixed64": "<Q", "sfixed64": "<q"}
FIXED |= {"float": "<f", "fixed32": "<I", "sfixed32": "<i"}
NAMES = ["id", "list", "name", "t", "v", "x", "y", "z", "other"]

Field = tuple[str, int, str, Any]
"""Name, number, label, and type: a name of a scalar, or the fields of a message."""


@st.composite
def messages(draw: st.DrawFn, depth: int = 0) -> list[Field]:
    """Fields of a message, of which most fit the layouts."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=7))
    numbers = draw(
        st.lists(st.integers(1, 12) | st.integers(1, 5000), unique=True, min_size=7, max_size=7)
    )
    found: list[Field] = []
    for name, number in zip(names, numbers, strict=False):
        label = ""
        kind: Any = draw(st.sampled_from([*NUMBERS, "string"]))
        if name in ("id", "name"):
            kind = draw(st.sampled_from(["string", "Sensor"] if name == "name" else ["string"]))
        elif name in ("v", "list") and depth < 3:
            label, kind = "repeated " if name == "list" else "", draw(messages(depth + 1))
        match draw(st.integers(0, 9)):
            case 0:
                label = draw(st.sampled_from(["", "optional ", "repeated ", "oneof"]))
            case 1:
                kind = draw(st.sampled_from([*NUMBERS, "string", "bytes", "bool", "Sensor"]))
            case 2:
                label = "repeated "
        found.append((name, number, label, kind))
    return found


def write_schema(fields: list[Field], name: str = "M") -> str:
    """Return the text of a message."""
    text, choice = "", ""
    for field, number, label, kind in fields:
        type_name = kind
        if isinstance(kind, list):
            type_name = f"T_{field}"
            text += write_schema(kind, type_name)
        if label == "oneof":
            choice += f"{type_name} {field} = {number}; "
        else:
            text += f"{label}{type_name} {field} = {number}; "
    text += f"oneof one {{ {choice} }} " if choice else ""
    return f"message {name} {{ {text} }} "


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


TEXT = st.sampled_from(["A", "G", " A ", "watch", "-1.5", "", "2025-11-23T14:00:00Z"]) | (
    st.text(max_size=12)
)


def write_scalar(draw: st.DrawFn, kind: str) -> bytes:
    """Return bytes of a number, as any writer may write it."""
    if kind in FIXED:
        number: Any = st.integers(0, 2**31 - 1)
        if kind in ("double", "float"):
            number = st.floats(width=64) if kind == "double" else st.floats(width=32)
        return struct.pack(FIXED[kind], draw(number))
    return varint(draw(st.integers(0, 3) | st.integers(-(2**63), 2**64 - 1)))


def write(draw: st.DrawFn, fields: list[Field]) -> bytes:
    """Return bytes of a message: its fields in any order, also several times or not at all."""
    data = b""
    order = draw(st.permutations(fields))
    for _, number, label, kind in order:
        times = draw(st.integers(0, 3) if label == "repeated " else st.sampled_from([1, 1, 1, 0]))
        if draw(st.integers(0, 30)) == 0:
            times += 1
        if isinstance(kind, list) or kind in ("string", "bytes"):
            for _ in range(times):
                if isinstance(kind, list):
                    inner = write(draw, kind)
                else:
                    inner = draw(TEXT).encode() if kind == "string" else draw(st.binary(max_size=5))
                data += varint(number << 3 | 2) + varint(len(inner)) + inner
            continue
        values = [write_scalar(draw, kind) for _ in range(times)]
        if label == "repeated " and draw(st.booleans()):
            packed = b"".join(values)
            data += varint(number << 3 | 2) + varint(len(packed)) + packed
            continue
        wire = 0 if kind not in FIXED else 1 if FIXED[kind] in ("<d", "<Q", "<q") else 5
        data += b"".join(varint(number << 3 | wire) + value for value in values)
    if draw(st.integers(0, 5)) == 0:
        data += draw(st.sampled_from([b"\xb8\xb8\x04\x05", b"\xba\xb8\x04\x02ab"]))
    return data


ENUM = "enum Sensor { NONE = 0; A = 1; G = 2; }"


def make_both(message: str, layout: RecordLayout) -> BothReaders:
    """Return both readers of a schema with one message."""
    reader = ProtobufReader({"schema.proto": f'syntax = "proto3"; {ENUM} {message}'})
    return BothReaders(reader, FastFramedReader.of_protobuf, layout)


@st.composite
def cases(draw: st.DrawFn) -> tuple[BothReaders, list[bytes]]:
    """Readers of a schema, and values of it."""
    fields = draw(messages())
    both = make_both(write_schema(fields), draw(st.sampled_from(LAYOUTS)))
    path = draw(st.sampled_from([b"\0", b"\2\0"]))
    return both, [path + write(draw, fields) for _ in range(draw(st.integers(1, 4)))]


RANDOM = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@RANDOM
@given(cases(), st.data())
def test_values_and_damaged_ones_are_the_same_from_both_readers(
    case: tuple[BothReaders, list[bytes]], data: st.DataObject
) -> None:
    both, values = case
    for value in values:
        both.general(value)
    both.check(values)
    damaged = []
    for value in values:
        text = bytearray(value)
        for _ in range(data.draw(st.integers(1, 2))):
            begin = data.draw(st.integers(0, len(text)))
            end = begin + data.draw(st.sampled_from([0, 1, 1, 3]))
            text[begin:end] = data.draw(
                st.binary(max_size=2)
                | st.sampled_from([b"\0", b"\1", b"\2", b"\xff" * 11, b"\xff" * 9 + b"\1"])
            )
        damaged.append(bytes(text))
    both.check(damaged)


PUSH = """
message Vector { double x = 1; float y = 2; optional sint32 z = 3; repeated double more = 4; }
message Reading {
  Sensor name = 1; int64 t = 2; Vector v = 3; string note = 4; map<string, bytes> extra = 5;
}
message Push { message Inner { repeated Reading list = 7; string id = 2; uint32 number = 3; } }
"""
PATH = b"\4\4\0"


def push(count: int) -> bytes:
    """Return the data of an inner message with two sensors in turn."""
    reader = ProtobufReader({"schema.proto": f'syntax = "proto3"; {ENUM} {PUSH}'})
    message: Any = message_factory.GetMessageClass(reader.schema[2, 0])(id="w", number=7)
    for i in range(count):
        vector = {"x": 0.25 * i, "y": -0.5, "z": -1, "more": [1, 2]}
        message.list.add(
            name=1 + i % 2, t=NOW_MS + i // 2, v=vector, note="\u00e9", extra={"a": b"\xff"}
        )
    return PATH + bytes(message.SerializeToString())


def test_enums_lists_maps_and_messages_in_each_other_are_read_by_the_plan() -> None:
    both = make_both(PUSH, LAYOUTS[0])
    assert both.check([push(6), push(1), push(0)]) == 3
    records = Records.of([framed(7, push(6))])
    fast, general = (
        ProfileDecoder(LAYOUTS[0], lambda value: both.general(value[FRAME:]), find)
        for find in (lambda _: both.general.schema, None)
    )
    decoded, expected = fast.decode(records, SKEW_US), general.decode(records, SKEW_US)
    assert decoded.device_ids == ["w"]
    assert decoded.sensors.tolist() == [3, 3, 3]
    assert decoded.values.tobytes() == expected.values.tobytes()
    assert decoded.time_us.tolist() == expected.time_us.tolist()


def test_an_absent_number_without_presence_is_0_and_with_presence_is_missing() -> None:
    layout = {"time": {"field": "t"}, "acc": {"fields": ["x", "y", "z"], "unit": "g"}}
    fields = "int64 t = 1; double x = 2; optional double y = 3; oneof one { double z = 4; }"
    both = make_both(
        f"message M {{ {fields} }}",
        RecordLayout.model_validate(layout | {"encoding": "protobuf"}),
    )
    rows, _ = both.read_fast([b"\0\x08\x05"])[0]
    assert str(rows.tolist()) == "[[5.0, 0.0, nan, nan]]"
    assert both.check([b"\0\x08\x05"]) == 1


def test_a_map_is_read_by_its_keys() -> None:
    layout = {"time": {"field": "t"}, "acc": {"fields": ["v.x", "v.y", "v.z"], "unit": "g"}}
    reader = make_both(
        "message M { int64 t = 1; map<string, double> v = 2; }",
        RecordLayout.model_validate(layout | {"encoding": "protobuf"}),
    ).general
    assert reader(b"\0\x12\x0c\x0a\x01x\x11" + struct.pack("<d", 0.5)) == {"t": 0, "v": {"x": 0.5}}


def test_messages_in_each_other_without_end_are_malformed_and_harm_nothing() -> None:
    both = make_both(
        "message M { string id = 1; M v = 2; repeated M list = 3; }",
        LAYOUTS[0],
    )
    deep = b""
    for _ in range(200):
        deep = b"\x12" + varint(len(deep)) + deep
    assert both.read_fast([b"\0" + deep]) == {}
    with pytest.raises(DecodeError):
        both.general(b"\0" + deep)


def test_messages_without_a_plan_do_not_keep_others_from_theirs() -> None:
    # The first one has a list where the profile has the device id.
    both = make_both(
        "message P { repeated string id = 1; } message Q { P v = 1; string id = 2; } "
        "message R { string id = 1; }",
        LAYOUTS[0],
    )
    values = [b"\0\x0a\x01w", b"\2\2\x12\x01w", b"\2\4\x0a\x01w"]
    assert list(both.read_fast(values)) == [1, 2]
    assert both.check(values[1:]) == 2


def test_several_threads_read_with_one_reader() -> None:
    readers = make_both(PUSH, LAYOUTS[0])
    values = 100 * [push(count) for count in (3, 40, 7)]

    def read(_: int) -> list[tuple[int, bytes]]:
        return [(record, rows.tobytes()) for record, (rows, _) in readers.read_fast(values).items()]

    alone = read(0)
    assert len(alone) == len(values)
    with ThreadPoolExecutor(4) as threads:
        assert all(together == alone for together in threads.map(read, range(20)))
