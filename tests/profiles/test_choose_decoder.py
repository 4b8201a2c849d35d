"""Records of other formats, decoded by profiles."""

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.contracts.readings import ACC, BOTH_SENSORS, GYRO, Decoded, Format, RejectReason
from streamer.contracts.records import Records
from streamer.errors import SettingsError
from streamer.profiles.cells import ROWS_AT_ONCE
from streamer.profiles.choose_decoder import make_decoder
from streamer.profiles.profile_decoder import ProfileDecoder
from streamer.profiles.record_layout import RecordLayout
from tests.support.records import NOW_MS, SKEW_US, ARecord, Good, decode, fields, good, record

SAMPLE = {
    "time": {"field": "timestamp"},
    "acc": {"fields": ["acc.0", "acc.1", "acc.2"], "unit": "g"},
    "gyro": {"fields": ["gyro.0", "gyro.1", "gyro.2"], "unit": "rad/s"},
}
BATCH = {
    "time": {"field": "timestamp"},
    "interval": "interval_ms",
    "acc": {"fields": ["acc[].0", "acc[].1", "acc[].2"], "unit": "g"},
    "gyro": {"fields": ["gyro[].0", "gyro[].1", "gyro[].2"], "unit": "rad/s"},
}
READINGS = {
    "device_field": "id",
    "time": {"field": "list[].t", "unit": "ms"},
    "acc": {
        "where": {"list[].name": "a"},
        "fields": ["list[].v.x", "list[].v.y", "list[].v.z"],
        "unit": "g",
        "gravity": "separate",
    },
    "gravity": {
        "where": {"list[].name": "gravity"},
        "fields": ["list[].v.x", "list[].v.y", "list[].v.z"],
        "unit": "g",
    },
    "gyro": {
        "where": {"list[].name": "g"},
        "fields": ["list[].v.x", "list[].v.y", "list[].v.z"],
        "unit": "deg/s",
    },
}


def profile(layout: dict[str, Any], **changes: Any) -> ProfileDecoder:
    return ProfileDecoder(RecordLayout.model_validate(layout | changes))


def decode_by(decoder: ProfileDecoder, sent: Sequence[ARecord]) -> Decoded:
    return decoder.decode(Records.of(sent), SKEW_US)


def generally(decoder: ProfileDecoder) -> ProfileDecoder:
    """The same decoder without its compiled reader."""
    other = ProfileDecoder(decoder._layout)
    other._fast = None
    return other


def plain(decoded: Decoded) -> list[object]:
    columns = (decoded.record, decoded.device, decoded.time_us, decoded.values, decoded.sensors)
    return [
        decoded.device_ids,
        [(reject.record, reject.reason) for reject in decoded.rejects],
        *(column.tobytes() for column in columns),
        decoded.complete,
    ]


def sent(value: object, key: bytes = b"phone-17", **changes: Any) -> ARecord:
    return ARecord(key, json.dumps(value).encode(), **changes)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize("layout", [SAMPLE, BATCH])
def test_the_contracts_own_readings_come_out_as_the_contract_has_them(
    layout: dict[str, Any], encoding: str
) -> None:
    rng = np.random.default_rng(1)
    samples = 1 if layout is SAMPLE else 50
    values = rng.normal(size=(400, samples, 6)).round(5)
    interval = None if layout is SAMPLE else 20.5
    canonical = [
        ARecord(
            f"phone-{i % 7}".encode(), record("", NOW_MS + i / 4, interval, each, Format.JSON).value
        )
        for i, each in enumerate(values)
    ]
    expected = decode(
        [
            ARecord(r.key, (r.value or b"").replace(b'""', b'"' + (r.key or b"") + b'"', 1))
            for r in canonical
        ],
        SKEW_US,
    )
    if encoding == "msgpack":
        canonical = [
            ARecord(r.key, msgspec.msgpack.encode(msgspec.json.decode(r.value or b"")))
            for r in canonical
        ]
    assert not expected.rejects
    assert plain(decode_by(profile(layout, encoding=encoding), canonical)) == plain(expected)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_sensors_may_have_numbers_for_names(encoding: str) -> None:
    names = {"acc": "1", "gravity": "9", "gyro": "4"}
    layout = READINGS | {
        sensor: READINGS[sensor] | {"where": {"list[].name": name}}  # type: ignore[operator]
        for sensor, name in names.items()
    }
    elements = [
        {"name": name, "t": NOW_MS, "v": {"x": 0, "y": 0, "z": 1}} for name in (1, 4, 7, 1.0, True)
    ]
    encode = {"json": msgspec.json.encode, "msgpack": msgspec.msgpack.encode}[encoding]
    value = encode({"id": "watch", "list": elements[:3]})
    decoded = decode_by(profile(layout, encoding=encoding), [ARecord(b"", value)])
    assert decoded.sensors.tolist() == [BOTH_SENSORS]
    # A number with a point, and a truth value, are names of no sensor.
    others = encode({"id": "watch", "list": elements[3:]})
    assert len(decode_by(profile(layout, encoding=encoding), [ARecord(b"", others)]).values) == 0


def test_csv_lines_are_samples() -> None:
    layout = {
        "encoding": "csv",
        "columns": ["who", "t", "ax", "ay", "az", "note", "gx", "gy", "gz"],
        "device_field": "who",
        "time": {"field": "t", "unit": "s"},
        "acc": {"fields": ["ax", "ay", "az"], "unit": "m/s2"},
        "gyro": {"fields": ["gx", "gy", "gz"], "unit": "deg/s"},
    }
    text = "a,1763906400.5,9.80665,0,0,x,180,0,0\r\na,1763906400.52,0,-9.80665,0,,,,\n"
    for decoder in (profile(layout), generally(profile(layout))):
        decoded = decode_by(decoder, [ARecord(None, text.encode())])
        assert decoded.rejects == []
        assert decoded.device_ids == ["a"]
        assert decoded.time_us.tolist() == [1763906400_500_000, 1763906400_520_000]
        assert decoded.sensors.tolist() == [BOTH_SENSORS, ACC]
        np.testing.assert_allclose(decoded.values[0], [1, 0, 0, np.pi, 0, 0])


@pytest.mark.parametrize(
    "value", [b"1763906400000,0\r0,0,1", b"1763906400000,0,0," + b"1" * 140_000]
)
def test_csv_that_cannot_be_split_into_cells_is_rejected(value: bytes) -> None:
    layout = {
        "encoding": "csv",
        "columns": ["t", "x", "y", "z"],
        "time": {"field": "t"},
        "acc": {"fields": ["x", "y", "z"], "unit": "g"},
    }
    for decoder in (profile(layout), generally(profile(layout))):
        decoded = decode_by(decoder, [ARecord(b"d", value)])
        assert [each.reason for each in decoded.rejects] == [RejectReason.MALFORMED], decoded


def test_named_readings_are_joined_in_time_and_gravity_is_added_between_its_times() -> None:
    #  ms        0         10         20        30
    #  a         x=1                  x=1                  without gravity
    #  gravity             z=1                  z=3
    #  g         x=180     x=180
    def at(name: str, ms: int, **xyz: float) -> dict[str, object]:
        return {"name": name, "t": NOW_MS + ms, "v": {"x": 0, "y": 0, "z": 0} | xyz}

    value = {
        "id": "watch",
        "list": [
            at("a", 20, x=1),
            at("gravity", 10, z=1),
            at("g", 0, x=180),
            at("battery", 5, x=99),
            at("a", 0, x=1),
            at("gravity", 30, z=3),
            at("g", 10, x=180),
        ],
    }
    others = {"id": "watch", "list": [at("a", 40, x=1)]}
    decoded = decode_by(
        profile(READINGS), [sent(value), sent(others), sent({"id": "x", "list": []})]
    )
    assert decoded.rejects == []
    assert decoded.device_ids == ["watch"]
    assert ((decoded.time_us - NOW_MS * 1000) // 1000).tolist() == [0, 10, 20, 40]
    assert decoded.sensors.tolist() == [BOTH_SENSORS, GYRO, ACC, ACC]
    np.testing.assert_allclose(
        decoded.values,
        [
            [1, 0, 1, np.pi, 0, 0],
            [np.nan, np.nan, np.nan, np.pi, 0, 0],
            [1, 0, 2, np.nan, np.nan, np.nan],
            [1, 0, 0, np.nan, np.nan, np.nan],
        ],
    )


@st.composite
def damaged(draw: st.DrawFn) -> ARecord:
    """Readings in which a few bytes are others, or missing, or too many."""
    reading = {"name": "a", "t": NOW_MS, "v": {"x": 0.5, "y": "-1.5", "z": 1}, "more": [{"}": 1}]}
    value: Any = draw(
        st.sampled_from(
            [
                {"id": "watch", "list": [reading, reading | {"name": "g", "t": NOW_MS + 1}]},
                {"list": [reading, None, reading | {"v": None}], "id": 7},
                {"id": 'a\u00e9"', "list": [reading | {"t": None}], "x": "\\"},
                fields(),
                [],
                None,
            ]
        )
    )
    text = bytearray(json.dumps(value, ensure_ascii=False).encode())
    for _ in range(draw(st.integers(0, 2))):
        begin = draw(st.integers(0, len(text)))
        end = draw(st.sampled_from([begin, begin + 1, begin + 3]))
        text[begin:end] = draw(
            st.sampled_from(
                [b"", b" ", b",", b"0", b"-", b"e", b"]", b"[", b'"', b"\\", b"{", b"}"]
            )
            | st.binary(max_size=2)
        )
    key = draw(st.sampled_from([b"phone-17", b"", None, b"\xff"]))
    return ARecord(key, draw(st.sampled_from([bytes(text), bytes(text), None])))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(damaged() | good().map(lambda one: one.record), min_size=1, max_size=12),
    st.sampled_from([SAMPLE, BATCH, READINGS]),
)
def test_nothing_in_a_record_raises_and_its_neighbours_do_not_matter(
    mixed: list[ARecord], layout: dict[str, Any]
) -> None:
    decoder = profile(layout)
    together = decode_by(decoder, mixed)
    assert set(together.record) | {reject.record for reject in together.rejects} <= set(
        range(len(mixed))
    )
    for i, one in enumerate(mixed):
        alone, own = decode_by(decoder, [one]), together.record == i
        assert alone.values.tobytes() == together.values[own].tobytes()
        assert alone.time_us.tobytes() == together.time_us[own].tobytes()
        assert [r.detail for r in alone.rejects] == [
            r.detail for r in together.rejects if r.record == i
        ]
        assert len(alone.rejects) == len({r.record for r in alone.rejects})


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(good(), min_size=1, max_size=8), st.sampled_from([SAMPLE, BATCH]))
def test_the_compiled_reader_and_the_general_reader_agree(
    mixed: list[Good], layout: dict[str, Any]
) -> None:
    decoder, records = profile(layout), [one.record for one in mixed]
    assert plain(decode_by(decoder, records)) == plain(decode_by(generally(decoder), records))


ANYTHING: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**64 - 1) | st.floats(-9, 9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
AXIS = st.none() | st.integers(-300, 300) | st.floats(-9, 9) | st.sampled_from(["-1.5", " 2 ", "x"])


@st.composite
def pushes(draw: st.DrawFn) -> dict[str, object]:
    """Named readings in which most things are as usual, and some are not."""
    fields = ["name", "t", "v"]
    order = draw(st.permutations(fields))

    def reading() -> dict[str, object]:
        whole = {
            "name": draw(st.sampled_from(["a", "g", "gravity", "battery"])),
            "t": NOW_MS + draw(st.integers(-1000, 0)),
            "v": {axis: draw(st.floats(-9, 9)) for axis in "xyz"},
        }
        match draw(st.integers(0, 12)):
            case 0:
                whole["v"] = {axis: draw(AXIS) for axis in draw(st.permutations("xyz"))}
            case 1:
                whole[draw(st.sampled_from([*fields, "more"]))] = draw(ANYTHING)
        names = order if draw(st.integers(0, 3)) else fields
        return {name: whole[name] for name in [*names, *(whole.keys() - fields)]}

    return {
        "seq": draw(ANYTHING),
        "id": draw(st.sampled_from(["watch", "phone", "", "a\u00e9"])),
        "list": [reading() for _ in range(draw(st.integers(0, 5)))],
    }


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(pushes(), min_size=1, max_size=6))
def test_named_readings_are_the_same_from_the_compiled_reader_and_the_general_one(
    encoding: str, values: list[dict[str, object]]
) -> None:
    pack = msgspec.json.encode if encoding == "json" else msgspec.msgpack.encode
    decoder = profile(READINGS, encoding=encoding)
    records = [ARecord(b"key", pack(value)) for value in values]
    assert plain(decode_by(decoder, records)) == plain(decode_by(generally(decoder), records))


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_usual_records_need_no_general_reader(encoding: str) -> None:
    #  The second and third push match a pattern of the first one; the fourth has other names.
    def push(**more: object) -> dict[str, object]:
        return {"id": "watch", "list": [{"name": "a", "t": NOW_MS, "v": v} | more for v in vectors]}

    vectors = [{"x": i / 7, "y": -i, "z": 1.5} for i in range(4)]
    values = [push(), push(), push(), push(extra=["x", {"y": 1}])]
    pack = msgspec.json.encode if encoding == "json" else msgspec.msgpack.encode
    decoder = profile(READINGS, encoding=encoding)
    assert decoder._fast is not None
    cells, _ = decoder._fast.read(Records.of([ARecord(b"", pack(value)) for value in values]), 0)
    assert cells.record.tolist() == [0, 1, 2, 3]
    assert cells.count.tolist() == [4] * 4


def test_a_field_may_have_two_meanings() -> None:
    acc = {"fields": ["acc[].0", "acc[].1", "acc[].2"], "unit": "g", "where": {"who": "watch"}}
    layout = BATCH | {"device_field": "who", "acc": acc}
    values = [fields(who="watch"), fields(who="phone")]
    decoded = decode_by(profile(layout), [sent(value) for value in values])
    assert decoded.device_ids == ["watch", "phone"]
    assert set(decoded.sensors[decoded.device == 0].tolist()) == {BOTH_SENSORS}
    assert set(decoded.sensors[decoded.device == 1].tolist()) == {GYRO}


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_spaces_around_a_name_belong_to_it(encoding: str) -> None:
    pack = msgspec.json.encode if encoding == "json" else msgspec.msgpack.encode
    vector = {"x": 0, "y": 0, "z": 1}
    value = {"id": " w ", "list": [{"name": n, "t": NOW_MS, "v": vector} for n in ("a", " g")]}
    decoder = profile(READINGS, encoding=encoding)
    for each in (decoder, generally(decoder)):
        decoded = decode_by(each, [ARecord(b"key", pack(value))])
        assert decoded.device_ids == [" w "]
        assert decoded.sensors.tolist() == [ACC]


def test_one_element_of_a_list_of_samples_may_have_the_time() -> None:
    layout = {"time": {"field": "list.0.t"}, "interval_ms": 20}
    layout |= {"acc": {"fields": [f"list[].{axis}" for axis in "xyz"], "unit": "g"}}
    acc = [{"x": 0, "y": 0, "z": 1}, {"x": 0, "y": 1, "z": 0}]
    value = {"list": [{"t": NOW_MS + 7 * i} | vector for i, vector in enumerate(acc)]}
    decoded = decode_by(profile(layout), [sent(value)])
    assert (decoded.time_us - NOW_MS * 1000).tolist() == [0, 20_000]
    assert decoded.values[:, 1].tolist() == [0, 1]


def test_of_two_fields_with_one_name_the_last_one_counts() -> None:
    text = b'{"id": "w", "list": [{"name": "a", "t": 1, "v": {"x": 0, "y": 0, "z": 1}, "t": %d}]}'
    one = ARecord(b"w", text % NOW_MS)
    decoder = profile(READINGS)
    assert decode_by(decoder, [one]).time_us.tolist() == [NOW_MS * 1000]
    assert plain(decode_by(decoder, [one])) == plain(decode_by(generally(decoder), [one]))


def test_a_fetch_of_more_rows_than_cells_is_read_in_parts() -> None:
    rows = [[0.0, 0.0, 1.0]] * 9_000
    value = fields(acc=rows, gyro=rows, interval_ms=1)
    records = [sent(value) for _ in range(2 * ROWS_AT_ONCE // 9_000)]
    decoded = decode_by(profile(BATCH), records)
    assert decoded.rejects == []
    assert np.bincount(decoded.record).tolist() == [9_000] * len(records)


def test_samples_without_times_end_at_the_time_of_their_record() -> None:
    layout = {"time": {"rate_hz": 100}, "acc": BATCH["acc"]}
    value = {"acc": [[0, 0, 1]] * 3}
    decoded = decode_by(profile(layout), [sent(value)])
    assert (decoded.time_us - NOW_MS * 1000).tolist() == [-20_000, -10_000, 0]
    assert not decoded.complete


@pytest.mark.parametrize(
    ("value", "reason", "words"),
    [
        (None, RejectReason.SCHEMA, "none of acc[].0"),
        ({"timestamp": NOW_MS, "interval_ms": 20}, RejectReason.SCHEMA, "none of acc[].0"),
        (fields(acc=[[1, 2], [1, 2]]), RejectReason.SCHEMA, "`acc[].2` is missing in sample 0"),
        (fields(timestamp=None), RejectReason.SCHEMA, "a time"),
        (fields(timestamp="soon"), RejectReason.SCHEMA, "`timestamp` is 'soon', not a number"),
        (fields(interval_ms=-1), RejectReason.SCHEMA, "interval"),
        (fields(timestamp=NOW_MS / 1000), RejectReason.TIMESTAMP, "looks like seconds"),
        (fields(acc=[[999, 0, 0]] * 2), RejectReason.VALUE, "acc x of sample 0 is 999.0"),
        (fields(timestamp=NOW_MS + 400_000), RejectReason.FUTURE, "ahead of Kafka's clock"),
        (fields(acc=[[0, 0, 1]] * 10_001), RejectReason.SCHEMA, "more than 10000"),
    ],
)
def test_a_record_that_a_profile_cannot_read_is_rejected_with_the_place_of_the_fault(
    value: object, reason: RejectReason, words: str
) -> None:
    for decoder in (profile(BATCH), generally(profile(BATCH))):
        (reject,) = decode_by(decoder, [sent(value)]).rejects
        assert reject.reason is reason
        assert words in reject.detail


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (ARecord(b"d", None), RejectReason.TOMBSTONE),
        (ARecord(None, b"{}"), RejectReason.KEY),
        (ARecord(b"d", b"{"), RejectReason.MALFORMED),
        (ARecord(b"d", b"[" * 5000), RejectReason.MALFORMED),
        (ARecord(b"d", b"\xff"), RejectReason.MALFORMED),
    ],
)
def test_records_are_rejected_for_the_contracts_reasons(one: ARecord, reason: RejectReason) -> None:
    (reject,) = decode_by(profile(BATCH), [one]).rejects
    assert reject.reason is reason


def test_many_empty_samples_are_rejected_before_they_fill_the_memory() -> None:
    value = msgspec.msgpack.encode({"id": "watch", "list": [{}] * 10_000})
    decoder = profile(READINGS, encoding="msgpack")
    (reject,) = decode_by(decoder, [ARecord(b"watch", value)]).rejects
    assert reject.reason is RejectReason.SCHEMA
    assert "sample 0 has none" in reject.detail


def test_the_device_id_may_be_in_a_header() -> None:
    layout = BATCH | {"device_header": "device"}
    one = sent(fields(), headers=(("device", b"watch"),))
    decoded = decode_by(profile(layout), [one, sent(fields())])
    assert decoded.device_ids == ["watch"]
    assert [reject.reason for reject in decoded.rejects] == [RejectReason.KEY]


EXAMPLES: dict[str, object] = {
    "web": {
        "timestamp": NOW_MS,
        "accelerationIncludingGravity": {"x": 0, "y": 9.80665, "z": 0},
        "rotationRate": {"alpha": 180, "beta": 0, "gamma": 0},
    },
    "kafka-connect": {
        "schema": {"type": "struct"},
        "payload": {"device_id": "d", "timestamp": NOW_MS, "acc_x": 0, "acc_y": 1, "acc_z": 0}
        | {"gyro_x": np.pi, "gyro_y": 0, "gyro_z": 0},
    },
    "sensorlog": {
        "deviceID(txt)": "d",
        "loggingTime(txt)": "2025-11-23 15:00:00.000 +0100",
        **{f"accelerometerAcceleration{axis}(G)": "-0.0" for axis in "XZ"},
        "accelerometerAccelerationY(G)": "-1.0",
        **{f"gyroRotation{axis}(rad/s)": "0" for axis in "YZ"},
        "gyroRotationX(rad/s)": str(np.pi),
    },
    "coremotion": {
        "device_id": "d",
        "timestamp": NOW_MS / 1000,
        "userAcceleration": {"x": 0, "y": 0, "z": 0},
        "gravity": {"x": 0, "y": -1, "z": 0},
        "rotationRate": {"x": np.pi, "y": 0, "z": 0},
    },
    "sensor-logger": {
        "deviceId": "d",
        "payload": [
            {"name": "accelerometer", "time": NOW_MS * 10**6, "values": {"x": 0, "y": 0, "z": 0}},
            {"name": "gravity", "time": NOW_MS * 10**6, "values": {"x": 0, "y": 9.80665, "z": 0}},
            {"name": "gyroscope", "time": NOW_MS * 10**6, "values": {"x": np.pi, "y": 0, "z": 0}},
        ],
    },
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_shipped_profile_reads_the_records_of_its_app(name: str) -> None:
    decoded = make_decoder(name)(Records.of([sent(EXAMPLES[name])]), SKEW_US)
    assert decoded.rejects == []
    assert decoded.time_us.tolist() == [NOW_MS * 1000]
    np.testing.assert_allclose(decoded.values, [[0, 1, 0, np.pi, 0, 0]], atol=1e-12)


def test_a_recorded_push_of_sensor_logger_is_read(devices_dir: Path) -> None:
    push = (devices_dir / "cases" / "13_sensorlogger_push.json").read_bytes()
    one = ARecord(b"iphone-1", push)
    decoded = make_decoder("sensor-logger")(Records.of([one]), SKEW_US)
    assert decoded.rejects == []
    assert decoded.device_ids == ["iphone-1"]
    assert decoded.complete
    assert len(decoded.values) == 25


def test_a_profile_of_files_only_is_not_a_format_of_records() -> None:
    with pytest.raises(SettingsError, match=r"no section \[records\]"):
        make_decoder("phyphox")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"acc": None, "gyro": None}, "neither a section `acc` nor"),
        ({"interval": ""}, "needs a time for each"),
        ({"columns": ["a"]}, "belong to the encoding csv"),
        ({"device_field": "a[].b"}, "without []"),
        ({"time": {"field": "a..b"}}, "a point without a name"),
        ({"time": {"field": "a[].b[]"}}, "more than one"),
        ({"time": {"field": "t", "since": "start"}}, "from the start"),
    ],
)
def test_a_layout_that_does_not_fit_together_is_an_error(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words.replace("[", r"\[").replace("]", r"\]")):
        profile(BATCH, **changes)


def test_csv_is_quoted_where_it_must_be() -> None:
    layout = {
        "encoding": "csv",
        "columns": ["t", "x", "y", "z"],
        "time": {"field": "t"},
        "acc": {"fields": ["x", "y", "z"], "unit": "g"},
    }
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow([NOW_MS, 0, 0, 1])
    decoded = decode_by(profile(layout), [ARecord(b"d", text.getvalue().encode())])
    assert decoded.values[:, :3].tolist() == [[0, 0, 1]]


def test_the_example_in_the_documents_reads_the_record_beside_it(tmp_path: Path) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "devices.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"^```toml\n(.*?)^```$", docs, re.DOTALL | re.MULTILINE)
    mine = tmp_path / "mine.toml"
    mine.write_text(source, encoding="utf-8")
    value = {"watch": {"id": "w1"}, "start": NOW_MS / 1000}
    value |= {"acc": [[0, 9.80665, 0]] * 2, "gyro": [[180, 0, 0]] * 2}
    decoded = make_decoder(str(mine))(Records.of([sent(value)]), SKEW_US)
    assert decoded.device_ids == ["w1"]
    assert (decoded.time_us - NOW_MS * 1000).tolist() == [0, 20_000]
    np.testing.assert_allclose(decoded.values, [[-1, 0, 0, np.pi, 0, 0]] * 2)
