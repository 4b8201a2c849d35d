"""From records to columns: everything after it works on whole fetches at once.

Each record is parsed on its own, by typed decoders; every check of a number happens once for all
samples of the fetch, in NumPy. A record is accepted or refused as a whole, and nothing in it can
raise: whatever devices publish, the stream goes on.
"""

from itertools import chain, compress

import msgspec
import numpy as np
import numpy.typing as npt

from streamer.contracts import f32
from streamer.contracts.readings import (
    CONTENT_TYPE,
    CONTENT_TYPES,
    LARGEST_ACCELERATION,
    LARGEST_ROTATION,
    LATEST_TIMESTAMP_MS,
    LONGEST_DEVICE_ID,
    Axes,
    Batch,
    Decoded,
    Format,
    Reject,
    Rejection,
    RejectReason,
    Sample,
)
from streamer.contracts.records import Headers, Records

Reading = Sample | Batch | f32.Block

_FORMATS = {name: form for form, name in CONTENT_TYPES.items()}
_DECODERS = {
    Format.JSON: (msgspec.json.Decoder(Sample).decode, msgspec.json.Decoder(Batch).decode),
    Format.MSGPACK: (msgspec.msgpack.Decoder(Sample).decode, msgspec.msgpack.Decoder(Batch).decode),
}
_CHANNELS = ("acc x", "acc y", "acc z", "gyro x", "gyro y", "gyro z")
_LIMITS = np.array([LARGEST_ACCELERATION] * 3 + [LARGEST_ROTATION] * 3)


def decode(records: Records, max_future_skew_us: int) -> Decoded:
    """Decode and check the records of a fetch.

    Args:
        records: of one partition, in order.
        max_future_skew_us: how far a sample may be ahead of its record's timestamp.

    Returns:
        The samples of all good records, and a reject for every other one. Sample j of a batch
        is at ``round(timestamp * 1000) + round(j * interval_ms * 1000)`` microseconds, halves
        to even.
    """
    parsed: list[int] = []
    readings: list[Reading] = []
    rejects: list[Reject] = []
    device_ids = _DeviceIds()
    for index, (key, value, headers) in enumerate(records.contents()):
        try:
            readings.append(_parse(key, value, headers, device_ids))
            parsed.append(index)
        except Rejection as no:
            rejects.append(Reject(index, no.reason, no.detail, no.samples))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            rejects.append(Reject(index, RejectReason.MALFORMED, str(error), 1))
    return _check(records, parsed, readings, rejects, max_future_skew_us)


def _check(
    records: Records,
    parsed: list[int],
    readings: list[Reading],
    rejects: list[Reject],
    max_future_skew_us: int,
) -> Decoded:
    """Check the numbers of all readings at once; `parsed` has the record of each."""
    record_of = np.array(parsed, dtype=np.int64)
    count = np.array([reading.count for reading in readings], dtype=np.int64)
    timestamp = np.array([reading.timestamp for reading in readings], dtype=np.float64)
    interval_us = np.array([reading.interval_ms for reading in readings], dtype=np.float64) * 1000
    # In float64: Kafka's own timestamp may be anything that fits 64 bits, thousandfold does not.
    kafka_us = records.timestamp[record_of].astype(np.float64) * 1000
    values = _values(readings, count)
    start = np.cumsum(count) - count
    reading_of = np.repeat(np.arange(len(readings)), count)

    sane = (timestamp >= 0) & (timestamp <= LATEST_TIMESTAMP_MS)
    first_us = np.rint(np.where(sane, timestamp, 0) * 1000).astype(np.int64)
    last_us = first_us + np.rint((count - 1) * interval_us).astype(np.int64)
    ahead_us = last_us - kafka_us
    plausible = np.ones(len(readings), dtype=np.bool_)
    plausible[reading_of[~(np.abs(values) <= _LIMITS).all(axis=1)]] = False
    good = sane & (ahead_us <= max_future_skew_us) & plausible

    for i in np.flatnonzero(~good).tolist():
        if not sane[i]:
            reason = RejectReason.TIMESTAMP
            detail = f"timestamp {timestamp[i]} is not within 0 and {LATEST_TIMESTAMP_MS:.0f} ms"
        elif not plausible[i]:
            reason = RejectReason.VALUE
            detail = _implausible(values[start[i] : start[i] + count[i]])
        else:
            reason = RejectReason.FUTURE
            detail = f"{ahead_us[i] / 1e6:.3f} s ahead of Kafka's clock"
        rejects.append(Reject(parsed[i], reason, detail, readings[i].count))
    rejects.sort(key=lambda reject: reject.record)

    kept = good[reading_of]
    position = np.arange(len(reading_of)) - start[reading_of]
    time_us = first_us[reading_of] + np.rint(position * interval_us[reading_of]).astype(np.int64)
    ids = [reading.device_id for reading in compress(readings, good)]
    index_of = {device_id: i for i, device_id in enumerate(dict.fromkeys(ids))}
    device_of = np.array([index_of[device_id] for device_id in ids], dtype=np.intp)
    return Decoded(
        record=record_of[reading_of][kept],
        device=np.repeat(device_of, count[good]),
        device_ids=list(index_of),
        time_us=time_us[kept],
        values=values[kept],
        rejects=rejects,
    )


class _DeviceIds(dict[bytes | None, str]):
    """The device ids that keys mean; each key is checked once a fetch."""

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
    key: bytes | None, value: bytes | None, headers: Headers, device_ids: _DeviceIds
) -> Reading:
    if value is None:
        raise Rejection(RejectReason.TOMBSTONE, "the record has no value")
    device_id = device_ids[key]
    form = _format(headers) if headers else Format.JSON
    if form is Format.F32:
        return f32.unpack(device_id, value)
    decode_sample, decode_batch = _DECODERS[form]
    reading: Sample | Batch
    try:
        reading = decode_sample(value)
    except msgspec.ValidationError as not_a_sample:
        try:
            reading = _with_equal_lengths(decode_batch(value))
        except msgspec.ValidationError as not_a_batch:
            raise Rejection(
                RejectReason.SCHEMA, f"not a sample: {not_a_sample}; not a batch: {not_a_batch}"
            ) from None
    if reading.device_id != device_id:
        raise Rejection(
            RejectReason.KEY,
            f"the key is {device_id!r:.80}, device_id is {reading.device_id!r:.80}",
            reading.count,
        )
    return reading


def _with_equal_lengths(batch: Batch) -> Batch:
    acc, gyro = len(batch.acc), len(batch.gyro)
    if acc != gyro:
        raise Rejection(
            RejectReason.SCHEMA, f"{acc} samples of acc, {gyro} of gyro", max(acc, gyro)
        )
    return batch


def _format(headers: Headers) -> Format:
    content_type = dict(headers).get(CONTENT_TYPE, CONTENT_TYPES[Format.JSON])
    media_type = (content_type or b"").partition(b";")[0].strip().lower()
    if media_type not in _FORMATS:
        raise Rejection(
            RejectReason.CONTENT_TYPE, f"the content type {content_type!r:.80} is not known"
        )
    return _FORMATS[media_type]


def _values(readings: list[Reading], count: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """All samples in the order of the readings, (s, 6)."""
    acc: list[Axes] = []
    gyro: list[Axes] = []
    blocks: list[bytes] = []
    for reading in readings:
        if isinstance(reading, Sample):
            acc.append(reading.acc)
            gyro.append(reading.gyro)
        elif isinstance(reading, Batch):
            acc.extend(reading.acc)
            gyro.extend(reading.gyro)
        else:
            blocks.append(reading.samples)
    is_block = np.array([type(reading) is f32.Block for reading in readings], dtype=np.bool_)
    in_block = np.repeat(is_block, count)
    values = np.empty((len(in_block), 6))
    values[~in_block, :3] = _rows(acc)
    values[~in_block, 3:] = _rows(gyro)
    with np.errstate(invalid="ignore"):  # a signalling NaN is no reason for a warning
        values[in_block] = np.frombuffer(b"".join(blocks), f32.SAMPLES).reshape(-1, 6)
    return values


def _rows(axes: list[Axes]) -> npt.NDArray[np.float64]:
    return np.fromiter(chain.from_iterable(axes), np.float64, 3 * len(axes)).reshape(-1, 3)


def _implausible(values: npt.NDArray[np.float64]) -> str:
    sample, channel = np.argwhere(~(np.abs(values) <= _LIMITS))[0]
    limit = _LIMITS[channel]
    return (
        f"{_CHANNELS[channel]} of sample {sample} is {values[sample, channel]}, "
        f"not within -{limit:g} and {limit:g}"
    )
