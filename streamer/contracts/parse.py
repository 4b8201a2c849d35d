"""The general decoder: reads one record after the other, and says what is wrong with it."""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET

from streamer.contracts import f32
from streamer.contracts.readings import (
    CONTENT_TYPE,
    CONTENT_TYPES,
    LONGEST_DEVICE_ID,
    Format,
    Reject,
    Rejection,
    RejectReason,
    Sample,
    SampleBatch,
)
from streamer.contracts.records import Headers
from streamer.errors import UNDECODABLE

Reading = Sample | SampleBatch | f32.Block

_FORMATS = {name: form for form, name in CONTENT_TYPES.items()}
_DECODERS = {
    Format.JSON: (msgspec.json.Decoder(Sample).decode, msgspec.json.Decoder(SampleBatch).decode),
    Format.MSGPACK: (
        msgspec.msgpack.Decoder(Sample).decode,
        msgspec.msgpack.Decoder(SampleBatch).decode,
    ),
}


def parse(
    records: Iterable[tuple[int, bytes | None, bytes | None, Headers | None]],
) -> tuple[list[int], list[Reading], list[Reject]]:
    """Parse records one by one.

    Args:
        records: index, key, value and headers of each; None for malformed headers.

    Returns:
        The index of each well-formed record, what it holds, and a reject for every other one.
    """
    parsed: list[int] = []
    readings: list[Reading] = []
    rejects: list[Reject] = []
    device_ids = DeviceIds()
    for index, key, value, headers in records:
        try:
            readings.append(_parse(key, value, headers, device_ids))
            parsed.append(index)
        except Rejection as no:
            rejects.append(Reject(index, no.reason, no.detail, no.samples))
        except UNDECODABLE as error:
            rejects.append(Reject(index, RejectReason.MALFORMED, str(error), 1))
    return parsed, readings, rejects


class DeviceIds(dict[bytes | None, str]):
    """Device ids by key; each key is checked once a fetch."""

    def __missing__(self, key: bytes | None) -> str:
        if key is None:
            raise Rejection(RejectReason.KEY, "the record has no key")
        if not 1 <= len(key) <= LONGEST_DEVICE_ID:
            raise Rejection(
                RejectReason.KEY, f"the key has {len(key)} bytes, not 1 to {LONGEST_DEVICE_ID}"
            )
        try:
            self[key] = key.decode()
        except UnicodeDecodeError as error:
            raise Rejection(RejectReason.KEY, f"the key is not UTF-8: {error.reason}") from None
        return self[key]


def _parse(
    key: bytes | None, value: bytes | None, headers: Headers | None, device_ids: DeviceIds
) -> Reading:
    if value is None:
        raise Rejection(RejectReason.TOMBSTONE, "the record has no value")
    device_id = device_ids[key]
    if headers is None:
        raise Rejection(RejectReason.MALFORMED, "the headers are not in Kafka's encoding")
    form = _format(headers) if headers else Format.JSON
    if form is Format.F32:
        return f32.unpack(device_id, value)
    decode_sample, decode_batch = _DECODERS[form]
    reading: Sample | SampleBatch
    try:
        reading = decode_sample(value)
    except msgspec.ValidationError as not_a_sample:
        try:
            reading = decode_batch(value)
        except msgspec.ValidationError as not_a_batch:
            raise Rejection(
                RejectReason.SCHEMA, f"not a sample: {not_a_sample}; not a batch: {not_a_batch}"
            ) from None
    _check_sensors(reading)
    if reading.device_id != device_id:
        raise Rejection(
            RejectReason.KEY,
            f"the key is {device_id!r:.80}, device_id is {reading.device_id!r:.80}",
            reading.count,
        )
    return reading


def _check_sensors(reading: Sample | SampleBatch) -> None:
    acc, gyro = reading.acc, reading.gyro
    if acc is UNSET and gyro is UNSET:
        raise Rejection(RejectReason.SCHEMA, "neither `acc` nor `gyro` is there")
    if acc is not UNSET and gyro is not UNSET and len(acc) != len(gyro):
        raise Rejection(
            RejectReason.SCHEMA, f"{len(acc)} samples of acc, {len(gyro)} of gyro", reading.count
        )


def _format(headers: Headers) -> Format:
    content_type = dict(headers).get(CONTENT_TYPE, CONTENT_TYPES[Format.JSON])
    media_type = (content_type or b"").partition(b";")[0].strip().lower()
    if media_type not in _FORMATS:
        raise Rejection(
            RejectReason.CONTENT_TYPE, f"the content type {content_type!r:.80} is not known"
        )
    return _FORMATS[media_type]
