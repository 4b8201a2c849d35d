"""Readings in Avro: the compiled reader, and what it leaves to the general one."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from streamer.contracts.readings import LARGEST_BATCH, RejectReason
from streamer.contracts.records import Records
from streamer.contracts.zigzag import write_zigzag
from streamer.profiles.cells import ROWS_AT_ONCE
from streamer.profiles.profile_decoder import ProfileDecoder
from streamer.profiles.program import Program
from streamer.profiles.record_layout import RecordLayout
from tests.support.both_readers import BothReaders, framed
from tests.support.records import NOW_MS, SKEW_US, ARecord

pytest.importorskip("fastavro")
pytest.importorskip("grpc_tools")
pytest.importorskip("confluent_kafka.schema_registry")

from streamer.profiles.avro_values import AvroReader, make_avro_writer
from streamer.profiles.fast_framed import FastFramedReader
from streamer.profiles.framed import FramedDecoder

VECTOR = [f"list[].v.{axis}" for axis in "xyz"]
NAMED = {
    "device_field": "id",
    "time": {"field": "list[].t"},
    "acc": {"where": {"list[].name": "a"}, "fields": VECTOR, "unit": "g"},
    "gyro": {"where": {"list[].name": "g"}, "fields": VECTOR, "unit": "deg/s"},
}
ELEMENTS = {
    "device_field": "name.1",
    "time": {"field": "t"},
    "acc": {"fields": ["v.0", "v.1", "v.2"], "unit": "g"},
    "gyro": {"fields": ["list.x", "list.3.y", "list.3.z"], "unit": "rad/s"},
}
TEXTS = {
    "time": {"field": "t", "unit": "iso8601"},
    "acc": {"fields": ["list[].x", "list[].y", "list[].z"], "unit": "g"},
    "interval_ms": 20,
}
LAYOUTS = [
    RecordLayout.model_validate(layout | {"encoding": "avro"})
    for layout in (NAMED, ELEMENTS, TEXTS)
]
NAMES = ["id", "list", "name", "t", "v", "x", "y", "z", "other"]
NUMBERS = ["int", "long", "float", "double"]


@st.composite
def schemas(draw: st.DrawFn) -> Any:  # noqa: C901 - a case for each type
    """Schemas of which most have the fields of the layouts, with types that fit."""
    defined: list[str] = []

    def define(**more: Any) -> dict[str, Any]:
        defined.append(f"space.T{len(defined)}")
        return {"name": defined[-1], **more}

    def record(depth: int) -> Any:
        new = define(type="record")
        names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=6))
        return new | {"fields": [{"name": name, "type": field(name, depth)} for name in names]}

    def usual(name: str, depth: int) -> Any:
        match name:
            case "list":
                return {"type": "array", "items": record(depth + 1)}
            case "v":
                return draw(
                    st.sampled_from([record(depth + 1), {"type": "array", "items": "double"}])
                )
            case "id":
                return "string"
            case "name":
                enum = define(type="enum", symbols=draw(st.permutations(["a", "g", "b"])))
                return draw(st.sampled_from(["string", enum]))
        return draw(st.sampled_from([*NUMBERS, "string"]))

    def field(name: str, depth: int) -> Any:
        match draw(st.integers(0, 5)):
            case 0:
                return anything(depth + 1)
            case 1:
                return ["null", usual(name, depth)]
        return usual(name, depth)

    def anything(depth: int) -> Any:
        kinds = [*NUMBERS, "string", "bytes", "boolean", "null", "fixed", "enum", "name"]
        match draw(st.sampled_from(kinds + ["union", "array", "map", "record"] * (depth < 4))):
            case "union":
                return [anything(depth + 1) for _ in range(draw(st.integers(1, 3)))]
            case "array":
                return {"type": "array", "items": [anything(depth + 1), "int"]}
            case "map":
                return {"type": "map", "values": anything(depth + 1)}
            case "record":
                return record(depth + 1)
            case "fixed":
                return define(type="fixed", size=draw(st.integers(0, 5)))
            case "enum":
                return define(type="enum", symbols=["a", "g", "nan"])
            case "name":
                return draw(st.sampled_from(defined))
            case kind:
                return kind

    return record(0)


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the types that are defined in a schema."""
    if isinstance(schema, list):
        for part in schema:
            yield from parts(part)
    elif isinstance(schema, dict):
        if "name" in schema and "type" in schema and schema["name"].startswith("space."):
            yield schema
        for part in schema.values():
            if isinstance(part, list | dict):
                yield from parts(part)


TEXT = st.sampled_from(["a", "g", " a ", "watch", "-1.5", " 2 ", "", "2025-11-23T14:00:00Z"]) | (
    st.text(max_size=12)
)


def write(  # noqa: C901 - a case for each type
    draw: st.DrawFn, schema: Any, named: dict[str, Any], depth: int = 0
) -> bytes:
    """Return bytes of a type, as any writer of Avro may write them."""
    if depth > 12:
        reject()
    if isinstance(schema, list):
        index = draw(st.integers(0, len(schema) - 1)) if depth < 9 else 0
        return write_zigzag(index) + write(draw, schema[index], named, depth + 1)
    if isinstance(schema, str) and schema in named:
        return write(draw, named[schema], named, depth + 1)
    kind = schema["type"] if isinstance(schema, dict) else schema
    match kind:
        case "null":
            return b""
        case "boolean":
            return bytes([draw(st.integers(0, 1))])
        case "int" | "long":
            bits = 31 if kind == "int" else 63
            return write_zigzag(draw(st.integers(-(2**bits), 2**bits - 1)))
        case "float":
            return struct.pack("<f", draw(st.floats(width=32)))
        case "double":
            return struct.pack("<d", draw(st.floats()))
        case "bytes" | "string":
            data = draw(TEXT).encode() if kind == "string" else draw(st.binary(max_size=5))
            return write_zigzag(len(data)) + data
        case "fixed":
            size: int = schema["size"]
            return draw(st.binary(min_size=size, max_size=size))
        case "enum":
            return write_zigzag(draw(st.integers(0, len(schema["symbols"]) - 1)))
        case "record":
            return b"".join(write(draw, f["type"], named, depth + 1) for f in schema["fields"])
    blocks = b""
    for _ in range(draw(st.integers(0, 2)) if depth < 9 else 0):
        count = draw(st.integers(1, 3))
        block = b""
        for _ in range(count):
            if kind == "map":
                name = draw(st.sampled_from(NAMES) | TEXT).encode()
                block += write_zigzag(len(name)) + name
            block += write(draw, schema["items" if kind == "array" else "values"], named, depth + 1)
        has_size = draw(st.booleans())
        blocks += (
            write_zigzag(-count) + write_zigzag(len(block)) if has_size else (write_zigzag(count))
        )
        blocks += block
    return blocks + b"\0"


def make_both(schema: Any, layout: RecordLayout) -> BothReaders:
    """Return both readers of one schema and a layout."""
    return BothReaders(AvroReader({"main": json.dumps(schema)}), FastFramedReader.of_avro, layout)


@st.composite
def cases(draw: st.DrawFn) -> tuple[BothReaders, list[bytes]]:
    """Readers of a schema, and values of it."""
    schema = draw(schemas())
    try:
        both = make_both(schema, draw(st.sampled_from(LAYOUTS)))
    except ValueError:
        reject()
    named = {part["name"]: part for part in parts(schema)}
    return both, [write(draw, schema, named) for _ in range(draw(st.integers(1, 4)))]


RANDOM = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@RANDOM
@given(cases())
def test_valid_values_of_any_schema_are_the_same_from_both_readers(
    case: tuple[BothReaders, list[bytes]],
) -> None:
    both, values = case
    for value in values:
        both.general(value)
    both.check(values)


@RANDOM
@given(cases(), st.data())
def test_other_bytes_raise_nothing_and_are_the_same_from_both_readers(
    case: tuple[BothReaders, list[bytes]], data: st.DataObject
) -> None:
    both, values = case
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


# All of it is read by the compiled reader: unions, maps, enums, fixed values, names of types, and
# blocks with and without their size.
READING: dict[str, Any] = {
    "type": "record",
    "name": "Reading",
    "namespace": "a.b",
    "fields": [
        {"name": "name", "type": {"type": "enum", "name": "Sensor", "symbols": ["x", "a", "g"]}},
        {"name": "before", "type": ["null", "Sensor", {"type": "map", "values": "string"}]},
        {"name": "t", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "mac", "type": {"type": "fixed", "name": "Mac", "size": 6}},
        {"name": "v", "type": {"type": "map", "values": ["float", "double", "int"]}},
        {"name": "parts", "type": {"type": "array", "items": {"type": "array", "items": "bytes"}}},
    ],
}
PUSH: dict[str, Any] = {
    "type": "record",
    "name": "Push",
    "fields": [
        {"name": "note", "type": ["null", "string"]},
        {"name": "list", "type": {"type": "array", "items": READING}},
        {"name": "on", "type": "boolean"},
        {"name": "id", "type": "string"},
    ],
}
# The same readings as another release of the app writes them.
SIMPLE: list[Any] = [
    "null",
    {
        "type": "record",
        "name": "Push",
        "fields": [
            {"name": "id", "type": "string"},
            {
                "name": "list",
                "type": {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "Reading",
                        "fields": [
                            {"name": "t", "type": "double"},
                            {"name": "name", "type": "string"},
                            {
                                "name": "v",
                                "type": {
                                    "type": "record",
                                    "name": "Vector",
                                    "fields": [{"name": a, "type": "double"} for a in "xyz"],
                                },
                            },
                        ],
                    },
                },
            },
        ],
    },
]


def push(**more: Any) -> dict[str, Any]:
    def reading(i: int) -> dict[str, Any]:
        return {
            "name": "ag"[i % 2],
            "before": [None, "x", {"\u00e9": "y"}][i % 3],
            "t": NOW_MS + i // 2,
            "mac": b"123456",
            "v": {"z": 1, "x": 0.25 * i, "more": 7, "y": -0.5},
            "parts": [[], [b"\xff", b""]],
        }

    return {"note": None, "list": [reading(i) for i in range(6)], "on": True, "id": "w"} | more


class Registry(FramedDecoder):
    """A decoder that finds schemas in memory, and counts how often it is asked."""

    def __init__(self, texts: dict[int, Any]) -> None:
        super().__init__("avro", "http://127.0.0.1:9", None)
        self.texts = texts
        self.asked: list[int] = []

    def _make_reader(self, number: int) -> AvroReader | str:
        self.asked.append(number)
        if number not in self.texts:
            return f"the registry has no schema {number}"
        return AvroReader({"main": json.dumps(self.texts[number])})


def make_decoders(registry: Registry) -> tuple[ProfileDecoder, ProfileDecoder]:
    """Return the decoder with its compiled reader and without it."""
    return (
        ProfileDecoder(LAYOUTS[0], registry.decode, registry.find_schema),
        ProfileDecoder(LAYOUTS[0], registry.decode),
    )


def test_records_of_several_schemas_are_read_in_one_fetch_and_each_schema_is_asked_for_once() -> (
    None
):
    registry = Registry({300: PUSH, 70_000: SIMPLE})
    full, simple = make_avro_writer(300, PUSH), make_avro_writer(70_000, SIMPLE[1])
    values = [full(push()), full(push(note="\u00e9", id="v")), full(push(list=[]))]
    # The union of the second schema has a branch of null before the record.
    plain = push(list=[{**each, "v": {"x": 0, "y": 0, "z": 1}} for each in push()["list"]])
    values.insert(1, simple(plain)[:5] + b"\2" + simple(plain)[5:])
    sent = [ARecord(b"key", value) for value in values]
    sent += [framed(9, b""), ARecord(b"key", None), ARecord(b"key", b"\1")]
    fast, general = make_decoders(registry)
    assert fast._fast is not None
    cells, _ = fast._fast.read(Records.of(sent), 0)
    assert cells.record.tolist() == [0, 1, 2, 3]
    assert cells.count.tolist() == [6, 6, 6, 1]
    decoded, expected = (each.decode(Records.of(sent), SKEW_US) for each in (fast, general))
    assert sorted(registry.asked) == [9, 300, 70_000]
    assert decoded.device_ids == expected.device_ids == ["w", "v"]
    assert decoded.values.tobytes() == expected.values.tobytes()
    assert decoded.time_us.tolist() == expected.time_us.tolist()
    assert [(reject.record, reject.reason) for reject in decoded.rejects] == [
        (4, RejectReason.SCHEMA),
        (5, RejectReason.TOMBSTONE),
        (6, RejectReason.MALFORMED),
    ]
    assert decoded.rejects == expected.rejects


def test_a_fetch_of_more_rows_than_cells_is_read_in_parts() -> None:
    value = make_avro_writer(300, PUSH)(push(list=push()["list"] * (LARGEST_BATCH // 6)))
    fast, _ = make_decoders(Registry({300: PUSH}))
    records = Records.of([ARecord(b"", value)] * 8)
    assert 8 * LARGEST_BATCH > ROWS_AT_ONCE
    assert fast._fast is not None
    first, done = fast._fast.read(records, 0)
    second, end = fast._fast.read(records, done)
    assert [*first.record.tolist(), *second.record.tolist()][: done + 1] == [*range(done + 1)]
    assert 0 < done < end


LINKED = {
    "type": "record",
    "name": "Linked",
    "fields": [{"name": "t", "type": "long"}, {"name": "next", "type": ["null", "Linked"]}],
}


def test_a_schema_that_contains_itself_is_left_to_the_general_reader() -> None:
    acc = {"fields": ["next.t", "next.next.t", "x"], "unit": "g"}
    layout = {"time": {"field": "t"}, "acc": acc}
    both = make_both(LINKED, RecordLayout.model_validate(layout | {"encoding": "avro"}))
    values = [b"\2\2\4\0", b"\2\0", b"\2\2\4\2\6\0", b"\2\2" * 8 + b"\2\0"]
    assert list(both.read_fast(values)) == [0, 1]
    assert both.check(values) == 2


def test_a_record_that_contains_itself_without_end_is_malformed() -> None:
    fast, _ = make_decoders(Registry({7: LINKED}))
    (reject,) = fast.decode(Records.of([framed(7, b"\2\2" * 500_000)]), SKEW_US).rejects
    assert reject.reason is RejectReason.MALFORMED
    assert "RecursionError" in reject.detail


@pytest.mark.parametrize(
    "items",
    [
        "null",
        {"type": "record", "name": "E", "fields": [{"name": "n", "type": "null"}]},
        {"type": "fixed", "name": "F", "size": 0},
    ],
)
def test_a_schema_of_endless_arrays_is_of_no_use(items: Any) -> None:
    with pytest.raises(ValueError, match="without any bytes"):
        AvroReader(
            {"main": json.dumps({"type": "map", "values": {"type": "array"} | {"items": items}})}
        )


@pytest.mark.parametrize("size", ["12", -1, 2**40, None])
def test_a_schema_of_values_without_a_sensible_size_is_of_no_use(size: Any) -> None:
    with pytest.raises(ValueError, match="has the size"):
        AvroReader({"main": json.dumps({"type": "fixed", "name": "F", "size": size})})


@pytest.mark.parametrize(
    ("outer", "data", "expected"),
    [
        ("Axis", b"\4", {"x": 2}),
        (["null", "Axis"], b"\2\4", {"x": 2}),
        ({"type": "map", "values": "Axis"}, b"\2\2a\4\0", {"a": {"x": 2}}),
    ],
)
def test_a_schema_may_consist_of_names_that_another_one_defines(
    outer: Any, data: bytes, expected: object
) -> None:
    axis = {"type": "record", "name": "Axis", "fields": [{"name": "x", "type": "int"}]}
    read = AvroReader({"axis": json.dumps(axis), "main": json.dumps(outer)})
    assert read(data) == expected


def test_a_plan_of_a_schema_that_grows_without_bound_is_not_made() -> None:
    #  Each of twenty types has two of the one before it: a million values.
    types: dict[str, str] = {}
    inner: Any = "long"
    for i in range(20):
        fields = [{"name": name, "type": inner} for name in ("t", "v")]
        types[f"T{i}"] = json.dumps({"type": "record", "name": f"T{i}", "fields": fields})
        inner = f"T{i}"
    general = AvroReader(types)
    fast = FastFramedReader.of_avro(Program(LAYOUTS[0]).slots, lambda _: general.schema)
    cells, _ = fast.read(Records.of([framed(7, b"\0" * 2**20)]), 0)
    assert len(cells.record) == 0
