"""Checks readings with the decoder of the worker before they are written.

The decoder costs as much for one record as for ten. So those that arrive together are decoded
together. One that comes alone does not wait.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec
import numpy as np
import structlog

from streamer.contracts.readings import CONTENT_TYPE, CONTENT_TYPES, Decoded, Format
from streamer.contracts.records import OneRecord, Records
from streamer.errors import UNDECODABLE, RegistryError
from streamer.gateway.reading_queue import Busy
from streamer.profiles.choose_decoder import Decoder, make_decoder
from streamer.profiles.profile import CONTRACT, load_record_layout
from streamer.profiles.record_layout import NEED_REGISTRY
from streamer.settings import GatewaySettings

log = structlog.get_logger(__name__)

_REGISTRY_RETRY_S: Final = 10
"""When a client sends readings again that the schema registry had no answer for."""

_PAUSE_S: Final = 0.005
"""Time between two calls of the decoder, in which readings are collected."""

Headers = tuple[tuple[str, bytes], ...]

_CONTRACT_HEADERS: dict[Format, Headers] = {
    form: () if form is Format.JSON else ((CONTENT_TYPE, name),)
    for form, name in CONTENT_TYPES.items()
}


class Candidate(NamedTuple):
    """A reading that a client has sent."""

    device_id: str | None
    """The device that the request names; None if only the reading itself can say it."""
    value: bytes
    form: Format = Format.JSON
    """Of the contract; not looked at if the readings have the format of a profile."""


class Readable(NamedTuple):
    """A reading that the worker can read, as it is written to Kafka."""

    device_id: str
    value: bytes
    headers: Headers
    samples: int


class Unreadable(NamedTuple):
    """A reading that the worker would reject."""

    reason: str
    """A reason of the contract."""
    detail: str
    """What is wrong, and where."""


Checked = Readable | Unreadable


@dataclass(slots=True)
class _Turn:
    """Readings that are decoded together, and who waits for the result."""

    candidates: list[Candidate]
    done: asyncio.Future[list[Checked]]


class ReadingsCheck:
    """Decodes readings in the format of the settings.

    Raises:
        SettingsError: there is no such format.
        InstallationError: the format needs an extra package.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        name = settings.readings_format
        self._decode: Decoder = make_decoder(
            name, settings.schema_registry, settings.registry_login
        )
        layout = None if name == CONTRACT else load_record_layout(name)
        self._is_contract = layout is None
        self._device_header = layout.device_header if layout else ""
        self._asks_registry = layout is not None and layout.encoding in NEED_REGISTRY
        self._max_skew_us = round(settings.max_future_skew_s * 1e6)
        self._turn: _Turn | None = None
        self._next_s = 0.0
        """When the decoder may be called again, by the clock of the event loop."""

    async def check(self, candidates: Sequence[Candidate]) -> list[Checked]:
        """Return for each reading how it is written, or why it cannot be read.

        A reading of another device than the request names cannot be read either.

        Raises:
            Busy: the schema registry does not answer, and its schemas are needed.
        """
        if self._asks_registry:  # This waits for a network.
            try:
                return await asyncio.to_thread(self._check, list(candidates))
            except RegistryError as error:
                log.warning("readings cannot be checked; clients send them again", why=str(error))
                raise Busy("the schema registry does not answer", _REGISTRY_RETRY_S) from error
        if self._turn is None:
            loop = asyncio.get_running_loop()
            self._turn = _Turn([], loop.create_future())
            loop.call_at(self._next_s, self._check_turn, self._turn)
        turn = self._turn
        begin = len(turn.candidates)
        turn.candidates += candidates
        results = await asyncio.shield(turn.done)
        return results[begin : begin + len(candidates)]

    def _check_turn(self, turn: _Turn) -> None:
        self._turn = None
        try:
            turn.done.set_result(self._check(turn.candidates))
        except Exception as error:  # noqa: BLE001 - those who wait raise it
            turn.done.set_exception(error)
        self._next_s = turn.done.get_loop().time() + _PAUSE_S

    def _check(self, candidates: list[Candidate]) -> list[Checked]:
        now_ms = int(time.time() * 1000)
        keys = [self._key_of(each) for each in candidates]
        headers = [self._headers_of(each, key) for each, key in zip(candidates, keys, strict=True)]
        records = Records.of(
            OneRecord(
                self._key_bytes(key),
                each.value,
                header,
                now_ms,
                number,
            )
            for number, (each, key, header) in enumerate(
                zip(candidates, keys, headers, strict=True)
            )
        )
        decoded = self._decode(records, self._max_skew_us)
        checked: list[Checked | None] = [None] * len(candidates)
        for reject in decoded.rejects:
            checked[reject.record] = Unreadable(str(reject.reason), reject.detail)
        devices, counts = _devices_of(decoded, len(candidates))
        return [
            found or self._accept(each, key, header, devices[number] or key, int(counts[number]))
            for number, (each, key, header, found) in enumerate(
                zip(candidates, keys, headers, checked, strict=True)
            )
        ]

    def _accept(
        self,
        candidate: Candidate,
        key: str | None,
        headers: Headers,
        device_id: str | None,
        samples: int,
    ) -> Checked:
        if device_id is None or (self._is_contract and key is None):
            return Unreadable(
                "key",
                "nothing says of which device the reading is; post it to /readings/{device}",
            )
        if key is not None and device_id != key:
            return Unreadable(
                "key", f"the reading is of the device {device_id!r:.80}, not of {key!r:.80}"
            )
        return Readable(device_id, candidate.value, headers, samples)

    def _key_of(self, candidate: Candidate) -> str | None:
        """Return the device of the request, or else of a reading of the contract."""
        if candidate.device_id is not None or not self._is_contract:
            return candidate.device_id
        try:
            if candidate.form is Format.MSGPACK:
                return _decode_msgpack_id(candidate.value).device_id
            return _decode_json_id(candidate.value).device_id
        except UNDECODABLE:
            return None  # The decoder says what is wrong.

    def _key_bytes(self, key: str | None) -> bytes | None:
        if key is not None:
            return key.encode("utf-8", "surrogatepass")
        # The decoder must look at the value first, and find what is wrong with it.
        return b"?" if self._is_contract else None

    def _headers_of(self, candidate: Candidate, key: str | None) -> Headers:
        if self._is_contract:
            return _CONTRACT_HEADERS[candidate.form]
        if self._device_header and key is not None:
            return ((self._device_header, key.encode("utf-8", "surrogatepass")),)
        return ()


class _DeviceId(msgspec.Struct):
    device_id: str


_decode_json_id = msgspec.json.Decoder(_DeviceId).decode
_decode_msgpack_id = msgspec.msgpack.Decoder(_DeviceId).decode


def _devices_of(decoded: Decoded, records: int) -> tuple[list[str | None], np.ndarray]:
    """Return the device of each record, None for one without samples, and their samples."""
    counts = np.bincount(decoded.record, minlength=records)
    devices: list[str | None] = [None] * records
    firsts = np.flatnonzero(np.diff(decoded.record, prepend=-1))
    for record, device in zip(
        decoded.record[firsts].tolist(), decoded.device[firsts].tolist(), strict=True
    ):
        devices[record] = decoded.device_ids[device]
    return devices, counts
