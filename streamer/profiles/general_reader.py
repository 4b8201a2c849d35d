"""The general reader: reads one record by a profile, and says what is wrong with it."""

import csv
import io
from collections.abc import Callable

import msgspec

from streamer.contracts.readings import Record, Rejection, RejectReason
from streamer.errors import UNDECODABLE, SettingsError
from streamer.profiles.objects import read_object
from streamer.profiles.program import NO_SLOT, Program
from streamer.profiles.read_records import DeviceNumbers

DecodeFramed = Callable[[bytes], object]
"""Decodes a value of Avro or Protobuf to objects, lists, texts and numbers."""


def find_header(record: Record, name: str) -> bytes | None:
    """Return the value of a record's header; of several with this name, the last one."""
    return dict(record.headers).get(name)


class GeneralReader:
    """Reads records of one profile, one by one."""

    def __init__(self, program: Program, decode_framed: DecodeFramed | None) -> None:
        self._program = program
        self._layout = program.layout
        self._decode_framed = decode_framed

    def read(self, record: Record, names: DeviceNumbers) -> tuple[list[list[float]], int]:
        """Return the rows of a record, and the number of its device.

        Raises:
            Rejection: it is not what the profile describes.
        """
        if record.value is None:
            raise Rejection(RejectReason.TOMBSTONE, "the record has no value")
        device = -1
        if self._layout.device_header:
            device = names.number(find_header(record, self._layout.device_header))
        elif self._program.device == NO_SLOT:
            device = names.number(record.key)
        rows, device_id = read_object(self._parse(record.value), self._program)
        return rows, device if device_id is None else names.number(device_id.encode())

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
        except (*UNDECODABLE, csv.Error, ValueError) as error:
            raise Rejection(RejectReason.MALFORMED, f"{error!s:.300}") from None

    def _parse_csv(self, text: str) -> list[dict[str, str | None]]:
        columns = self._layout.columns
        lines = list(csv.reader(io.StringIO(text), delimiter=self._layout.separator))
        for number, line in enumerate(lines, start=1):
            if len(line) != len(columns):
                raise Rejection(
                    RejectReason.SCHEMA,
                    f"line {number} has {len(line)} columns with {self._layout.separator!r} "
                    f"between them, the profile has {len(columns)}",
                )
        if not lines:
            raise Rejection(RejectReason.MALFORMED, "there is no line")
        return [
            {name: cell.strip() or None for name, cell in zip(columns, line, strict=True)}
            for line in lines
        ]
