"""Decodes the records of a fetch by a profile, to the columns of the contract's readings."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from streamer.arrays import Bools, Floats, Ints
from streamer.contracts.decode import (
    LIMITS,
    decode,
    describe_future,
    describe_timestamp,
    describe_values,
    find_sane_times,
    order_by_appearance,
)
from streamer.contracts.parse import DeviceIds
from streamer.contracts.readings import (
    ACC,
    BOTH_SENSORS,
    GYRO,
    LATEST_TIMESTAMP_MS,
    SECONDS_UNTIL_2100,
    Decoded,
    Record,
    Reject,
    Rejection,
    RejectReason,
)
from streamer.contracts.records import KEY, KEY_END, VALUE, VALUE_END, Records
from streamer.errors import SettingsError
from streamer.profiles.columns import RecordSamples, Rows, to_samples
from streamer.profiles.fast_records import FastReader, ReadCells
from streamer.profiles.objects import read_object
from streamer.profiles.profile import CONTRACT, load_record_layout
from streamer.profiles.program import NO_SLOT, Program
from streamer.profiles.record_layout import FRAME, NEED_REGISTRY, RecordLayout
from streamer.profiles.same_bytes import find_first_alike

Decoder = Callable[[Records, int], Decoded]
"""Decodes the records of a fetch; the second argument is as in `streamer.contracts.decode`."""


def make_decoder(name: str, registry: str | None = None, login: str | None = None) -> Decoder:
    """Return the decoder of a format.

    Args:
        name: `CONTRACT`, the name of a profile in the package, or the path of one.
        registry: URL of the schema registry, for Avro and Protobuf.
        login: `user:password` of the registry.

    Raises:
        SettingsError: there is no such profile, or it does not describe records.
        InstallationError: it needs the extra `streamer[registry]`.
    """
    if name == CONTRACT:
        return decode
    layout = load_record_layout(name)
    if registry is None or layout.encoding not in NEED_REGISTRY:
        return ProfileDecoder(layout).decode
    from streamer.profiles.framed import FramedDecoder  # noqa: PLC0415 - an optional extra

    return ProfileDecoder(layout, FramedDecoder(layout.encoding, registry, login).decode).decode


class ProfileDecoder:
    """Decodes records by one profile.

    Args:
        layout: where a record has what.
        decode_framed: decodes a value of Avro or Protobuf to objects, lists, texts and numbers.
    """

    def __init__(
        self, layout: RecordLayout, decode_framed: Callable[[bytes], object] | None = None
    ) -> None:
        self._layout = layout
        self._decode_framed = decode_framed
        self._program = Program(layout)
        self._fast = (
            FastReader(self._program.slots, layout)
            if layout.encoding not in NEED_REGISTRY
            else None
        )

    def decode(self, records: Records, max_future_skew_us: int) -> Decoded:
        """Decode and check the records of a fetch; see `streamer.contracts.decode.decode`."""
        rejects: list[Reject] = []
        names = _Names()
        if self._layout.encoding == "json-schema":
            records = _without_frames(records)
        parts = [*self._read_fast(records, names)]
        done = np.zeros(len(records), np.bool_)
        for part in parts:
            done[part.record] = True
        if not done.all():
            parts.append(self._read_others(records, np.flatnonzero(~done), names, rejects))
        read = _merged(parts, len(self._program.slots))
        rows = Rows(read.count, records.timestamp[read.record], read.cells)
        samples = to_samples(rows, self._program)
        return _check(samples, rows, read, list(names.numbers), rejects, max_future_skew_us)

    def _read_fast(self, records: Records, names: "_Names") -> Iterator["_Read"]:
        """Read what the compiled reader can read."""
        next_record = 0
        while self._fast is not None and next_record < len(records):
            part, next_record = self._fast.read(records, next_record)
            device = self._find_devices(records, part, names)
            read = _Read(part.record, part.count, device, part.values)
            yield read if device.min(initial=0) >= 0 else _only(read, device >= 0)

    def _find_devices(self, records: Records, part: ReadCells, names: "_Names") -> Ints:
        """Return the device of each record, -1 where the general reader must say what is wrong."""
        if self._layout.device_header:
            keys = [self._header(records[i]) for i in part.record.tolist()]
            return np.array([names.find(key) for key in keys], np.int64)
        spans = part.device
        if self._program.device == NO_SLOT:
            spans = records.table[part.record][:, [KEY, KEY_END]]
        first = np.empty(len(spans), np.int64)
        places = np.full(2 << len(spans).bit_length(), -1, np.int64)
        find_first_alike(np.frombuffer(records.buffer, np.uint8), spans, first, places)
        firsts = np.flatnonzero(first == np.arange(len(first)))
        device = np.empty(len(first) + 1, np.int64)
        device[len(first)] = -1  # of a key of null
        buffer = records.buffer
        device[firsts] = [names.find(buffer[begin:end]) for begin, end in spans[firsts].tolist()]
        return device[first]

    def _read_others(
        self, records: Records, wanted: Ints, names: "_Names", rejects: list[Reject]
    ) -> "_Read":
        """Read records one by one with the general reader."""
        record: list[int] = []
        count: list[int] = []
        device: list[int] = []
        cells: list[list[float]] = []
        for i in wanted.tolist():
            try:
                rows, number = self._read_one(records, i, names)
            except Rejection as no:
                rejects.append(Reject(i, no.reason, no.detail, no.samples))
                continue
            record.append(i)
            count.append(len(rows))
            device.append(number)
            cells += rows
        return _Read(
            np.array(record, np.int64),
            np.array(count, np.int64),
            np.array(device, np.int64),
            np.array(cells).reshape(-1, len(self._program.slots)),
        )

    def _read_one(self, records: Records, i: int, names: "_Names") -> tuple[list[list[float]], int]:
        """Return the rows of one record, and its device."""
        record = records[i]
        if record.value is None:
            raise Rejection(RejectReason.TOMBSTONE, "the record has no value")
        device = -1
        if self._layout.device_header:
            device = names.number(self._header(record))
        elif self._program.device == NO_SLOT:
            device = names.number(record.key)
        rows, device_id = read_object(self._parse(record.value), self._program)
        return rows, device if device_id is None else names.number(device_id.encode())

    def _header(self, record: Record) -> bytes | None:
        return dict(record.headers).get(self._layout.device_header)

    def _parse(self, value: bytes) -> object:
        """Decode a value to objects, lists, texts and numbers."""
        try:
            match self._layout.encoding:
                case "json" | "json-schema":
                    return msgspec.json.decode(value)
                case "msgpack":
                    return msgspec.msgpack.decode(value)
                case "csv":
                    return self._parse_csv(value.decode())
                case _:
                    if self._decode_framed is None:
                        raise SettingsError("readings in Avro and Protobuf need a schema registry")
                    return self._decode_framed(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise Rejection(RejectReason.MALFORMED, f"{error!s:.300}") from None

    def _parse_csv(self, text: str) -> list[dict[str, str | None]]:
        columns = self._layout.columns
        lines = list(csv.reader(io.StringIO(text), delimiter=self._layout.separator))
        for number, line in enumerate(lines, start=1):
            if len(line) != len(columns):
                raise Rejection(
                    RejectReason.SCHEMA,
                    f"line {number} has {len(line)} columns, the profile has {len(columns)}",
                )
        if not lines:
            raise Rejection(RejectReason.MALFORMED, "there is no line")
        return [
            {name: cell.strip() or None for name, cell in zip(columns, line, strict=True)}
            for line in lines
        ]


def _without_frames(records: Records) -> Records:
    """Return the records without the zero byte and the schema's id before their JSON.

    A value that is not framed stays as it is. Its first byte is then no JSON, or it is JSON that
    was written without a registry.
    """
    table = records.table.copy()
    buffer = np.frombuffer(records.buffer, np.uint8)
    long = np.flatnonzero(table[:, VALUE_END] - table[:, VALUE] >= FRAME)
    framed = long[buffer[table[long, VALUE]] == 0]
    table[framed, VALUE] += FRAME
    return Records(records.buffer, table)


@dataclass(frozen=True, slots=True)
class _Read:
    """The cells of r records, with the number of the device of each."""

    record: Ints
    count: Ints
    device: Ints
    cells: Floats


class _Names:
    """Numbers of the devices of a fetch."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self._ids = DeviceIds()

    def number(self, key: bytes | None) -> int:
        """Return the number of the device whose id these bytes are.

        Raises:
            Rejection: they are not a device id.
        """
        return self.numbers.setdefault(self._ids[key], len(self.numbers))

    def find(self, key: bytes | None) -> int:
        """Return the same, -1 if they are not a device id."""
        try:
            return self.number(key)
        except Rejection:
            return -1


def _only(read: _Read, good: Bools) -> _Read:
    """Return the records that are good."""
    cells = read.cells[np.repeat(good, read.count)]
    return _Read(read.record[good], read.count[good], read.device[good], cells)


def _merged(parts: list[_Read], width: int) -> _Read:
    """Return all parts in the order of their records."""
    parts = [part for part in parts if len(part.record)]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        nothing = np.empty(0, np.int64)
        return _Read(nothing, nothing, nothing, np.empty((0, width)))
    record, count, device, cells = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("record", "count", "device", "cells")
    )
    if np.all(np.diff(record) > 0):
        return _Read(record, count, device, cells)
    order = np.argsort(record)
    rows = np.argsort(np.repeat(record, count), kind="stable")
    return _Read(record[order], count[order], device[order], cells[rows])


def _check(
    samples: RecordSamples,
    rows: Rows,
    read: _Read,
    device_ids: list[str],
    rejects: list[Reject],
    max_future_skew_us: int,
) -> Decoded:
    """Check times and values, reject the records that have a fault, and return the others."""
    owner, time_us, values = samples.owner, samples.time_us, samples.values
    kafka_us = rows.kafka_ms.astype(np.float64) * 1000
    # Nearly always the extremes decide. NaN fails all comparisons.
    low, high = time_us.min(initial=_SANE_US[1]), time_us.max(initial=_SANE_US[0])
    limit = LIMITS.min()
    if not (
        not samples.faults
        and _SANE_US[0] <= low
        and high <= _SANE_US[1]
        and high - kafka_us.min(initial=np.inf) <= max_future_skew_us
        and values.min(initial=0) >= -limit
        and values.max(initial=0) <= limit
    ):
        faults = _find_faults(samples, kafka_us, max_future_skew_us)
        bad = np.zeros(len(read.record), np.bool_)
        for i, (reason, detail) in faults.items():
            bad[i] = True
            rejects.append(Reject(int(read.record[i]), reason, detail, int(rows.count[i])))
        rejects.sort(key=lambda reject: reject.record)
        kept = ~bad[owner]
        samples = RecordSamples(owner[kept], time_us[kept], values[kept], samples.sensors[kept], {})
    return _decoded(samples, read, device_ids, rejects)


_SANE_US = (SECONDS_UNTIL_2100 * 1000, LATEST_TIMESTAMP_MS * 1000)
"""Times after those that may be in seconds."""


def _find_faults(
    samples: RecordSamples, kafka_us: Floats, max_future_skew_us: int
) -> dict[int, tuple[RejectReason, str]]:
    """Return the first fault of each record that has one."""
    owner, time_us, values = samples.owner, samples.time_us, samples.values
    time_ms = time_us / 1000
    sane = find_sane_times(time_ms)
    plausible = (np.abs(values) <= LIMITS).all(axis=1)
    ahead_us = time_us - kafka_us[owner]
    good: Bools = sane & plausible & (ahead_us <= max_future_skew_us)
    faults = {i: (RejectReason.SCHEMA, detail) for i, detail in samples.faults.items()}
    for i in np.unique(owner[~good]).tolist():
        if i in faults:
            continue
        own = slice(*np.searchsorted(owner, [i, i + 1]).tolist())
        times = time_ms[own]
        if np.any(np.isnan(times)):
            faults[i] = RejectReason.SCHEMA, "a time, or a valid interval, is missing"
        elif not np.all(sane[own]):
            advice = "check the profile's unit of time; in milliseconds it would be "
            wrong = float(times[~sane[own]][0])
            faults[i] = RejectReason.TIMESTAMP, describe_timestamp(wrong, advice)
        elif not np.all(np.asarray(plausible)[own]):
            faults[i] = RejectReason.VALUE, describe_values(values[own])
        else:
            faults[i] = RejectReason.FUTURE, describe_future(float(ahead_us[own].max()))
    return faults


def _decoded(
    samples: RecordSamples, read: _Read, device_ids: list[str], rejects: list[Reject]
) -> Decoded:
    owner, values, sensors = samples.owner, samples.values, samples.sensors
    device = read.device[owner]
    appearance, rank = order_by_appearance(device, len(device_ids))
    complete = bool(sensors.min(initial=BOTH_SENSORS) == BOTH_SENSORS)
    if not complete:
        values[sensors == GYRO, :3] = np.nan
        values[sensors == ACC, 3:] = np.nan
    return Decoded(
        record=read.record[owner],
        device=rank[device],
        device_ids=[device_ids[i] for i in appearance.tolist()],
        time_us=np.rint(samples.time_us).astype(np.int64),
        values=values,
        sensors=sensors,
        complete=complete,
        rejects=rejects,
    )
