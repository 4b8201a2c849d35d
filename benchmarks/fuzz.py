"""Feeds broken bytes to everything that reads what devices publish, for some minutes.

    python benchmarks/fuzz.py [--seconds 600] [--seed 0]

The inputs are readings in each format of the contract and in each encoding of profiles that needs
no registry, and record batches in each compression, with bytes changed, cut, inserted and repeated.
With atheris installed (`pip install atheris`), it chooses the changes by the code that they reach;
without it they are random. A fault ends the run and prints the input.

What must hold: a decoder raises nothing; a record has either samples or one reject; samples are
finite, within the limits, and the same whatever other records are beside them; the compiled reader
of a profile gives what the general one gives; a batch is unpacked or said to be damaged.
"""

import json
import random
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any

import click
import msgspec
import numpy as np
from crc32c import crc32c

sys.path.insert(0, str(Path(__file__).parents[1]))

from streamer.contracts.decode import decode
from streamer.contracts.encode import encode
from streamer.contracts.readings import (
    CONTENT_TYPES,
    LARGEST_ACCELERATION,
    LARGEST_ROTATION,
    Decoded,
    Format,
    RejectReason,
)
from streamer.contracts.records import OneRecord, Records
from streamer.kafka.aiokafka_internals import WholeBatch, build_batch
from streamer.kafka.record_batches import DamagedBatchError, unpack
from streamer.profiles.profile_decoder import ProfileDecoder
from streamer.profiles.record_layout import RecordLayout

START_MS = 1_763_906_400_000
KEY = b"phone"
SKEW_US = 300_000_000
CODECS = (0, 1, 2, 3, 4)
EXTREME = (b"1e999", b"-", b"null", b"[", b"]", b"\xff\xff\xff\xff", b'"', b"\\u0000")
HEADER_BYTES = 61
CRC = slice(17, 21)
"""Place of the checksum in the header of a batch; what follows it is checked."""
GOOD = OneRecord(*encode("phone", START_MS, 20.0, np.ones((3, 6)) / 2, Format.JSON), START_MS, 1)

NAMED = [f"list[].v.{axis}" for axis in "xyz"]
ROWS: dict[str, Any] = {
    "device_field": "id",
    "time": {"field": "list[].t"},
    "acc": {
        "where": {"list[].name": "a"},
        "fields": NAMED,
        "unit": "g",
        "gravity": "separate",
    },
    "gravity": {"where": {"list[].name": "gravity"}, "fields": NAMED, "unit": "g"},
    "gyro": {"where": {"list[].name": "g"}, "fields": NAMED, "unit": "deg/s"},
}
BATCH: dict[str, Any] = {
    "time": {"field": "timestamp"},
    "interval": "interval_ms",
    "acc": {"fields": ["acc[].0", "acc[].1", "acc[].2"], "unit": "g"},
    "gyro": {"fields": ["gyro[].0", "gyro[].1", "gyro[].2"], "unit": "rad/s"},
}
CELLS: dict[str, Any] = {
    "encoding": "csv",
    "columns": ["who", "t", "ax", "ay", "az", "note", "gx", "gy", "gz"],
    "device_field": "who",
    "time": {"field": "t", "unit": "iso8601"},
    "acc": {"fields": ["ax", "ay", "az"], "unit": "m/s2"},
    "gyro": {"fields": ["gx", "gy", "gz"], "unit": "deg/s"},
}
LAYOUTS = [
    RecordLayout.model_validate(layout)
    for layout in (
        ROWS,
        BATCH,
        ROWS | {"encoding": "msgpack"},
        BATCH | {"encoding": "msgpack"},
        CELLS,
    )
]
BY_PROFILE = [ProfileDecoder(layout) for layout in LAYOUTS]
GENERAL = [ProfileDecoder(layout) for layout in LAYOUTS]
for each in GENERAL:
    each._fast = None  # noqa: SLF001 - the same decoder without its compiled reader
PROFILES = len(Format) + len(CODECS)
"""The first number that chooses a profile."""


def seeds() -> list[bytes]:
    """Return inputs to begin with: a byte that chooses the reader, then what it reads."""
    rng = np.random.default_rng(0)
    found = []
    for place, form in enumerate(Format):
        for count, interval_ms in ((1, None), (1, 20.0), (50, 20.0)):
            samples = rng.normal(0, 1, (count, 6)).round(4)
            found.append(bytes([place]) + encode("phone", START_MS, interval_ms, samples, form)[1])
    fields = [(START_MS, KEY, b'{"device_id":"phone"}' * 9, [("a", b"b")])] * 5
    found += [bytes([len(Format) + codec]) + build_batch(fields, codec) for codec in CODECS]
    for place, value in enumerate(seeds_of_profiles()):
        found.append(bytes([PROFILES + place]) + value)
    return found


def seeds_of_profiles() -> list[bytes]:
    """Return an input for each of `LAYOUTS`."""
    rows = [
        {"name": name, "t": START_MS + i, "v": {"x": 0.5, "y": "-1.5", "z": 1}, "more": [{"}": 1}]}
        for i, name in enumerate(["a", "gravity", "g", "battery", "a", "gravity", "g"])
    ]
    listed = {"id": "phone", "list": rows}
    axes = [[0.01, -0.98, 0.12], [0.02, -0.97, 0.11]]
    batch = {"timestamp": START_MS, "interval_ms": 20, "acc": axes, "gyro": axes}
    line = 'phone,2025-11-23T14:00:00.{}Z,9.80665,0,0,"a, b",180,0,-1e2\r\n'
    return [
        *(json.dumps(each).encode() for each in (listed, batch)),
        *(msgspec.msgpack.encode(each) for each in (listed, batch)),
        (line.format(100) + line.format(120)).encode(),
    ]


def check(data: bytes) -> None:
    """Read an input; raise an error if what must hold does not."""
    if not data:
        return
    reader, value = data[0] % (PROFILES + len(LAYOUTS)), data[1:]
    if reader >= PROFILES:
        check_profile(reader - PROFILES, value)
        return
    if reader >= len(Format):
        check_batch(value)
        return
    headers = [("content-type", CONTENT_TYPES[list(Format)[reader]])]
    check_record(OneRecord(KEY, value, headers, START_MS, 0))


def check_record(record: OneRecord) -> None:
    """Decode a record alone, and beside a good one."""
    alone = decode(Records.of([record]), SKEW_US)
    both = decode(Records.of([record, GOOD]), SKEW_US)
    check_samples(alone)
    mine = both.record == 0
    assert np.array_equal(both.time_us[mine], alone.time_us)
    assert np.array_equal(both.values[mine], alone.values, equal_nan=True)
    assert (both.record == 1).sum() == 3, "the good record beside it was lost"


def check_samples(decoded: Decoded, *, may_be_empty: bool = False) -> None:
    """Check what must hold of the samples or the reject of one record."""
    assert len(decoded.rejects) <= 1
    assert not (len(decoded.rejects) and len(decoded.record)), decoded
    assert may_be_empty or len(decoded.rejects) or len(decoded.record), decoded
    values = decoded.values[np.isfinite(decoded.values)]
    # Only the columns of a sensor that is missing are not finite.
    assert decoded.complete or len(decoded.sensors)
    assert len(values) == decoded.values.size or not decoded.complete
    assert np.nanmax(np.abs(decoded.values[:, :3]), initial=0) <= LARGEST_ACCELERATION
    assert np.nanmax(np.abs(decoded.values[:, 3:]), initial=0) <= LARGEST_ROTATION


def check_profile(number: int, value: bytes) -> None:
    """Decode a record by a profile, beside a good one too, and without its compiled reader."""
    record = OneRecord(KEY, value, [], START_MS, 0)
    good = OneRecord(KEY, seeds_of_profiles()[number], [], START_MS, 1)
    alone = BY_PROFILE[number].decode(Records.of([record]), SKEW_US)
    check_samples(alone, may_be_empty=True)
    both = BY_PROFILE[number].decode(Records.of([record, good]), SKEW_US)
    mine = both.record == 0
    assert np.array_equal(both.time_us[mine], alone.time_us)
    assert np.array_equal(both.values[mine], alone.values, equal_nan=True)
    assert (both.record == 1).any(), "the good record beside it was lost"
    general = GENERAL[number].decode(Records.of([record]), SKEW_US)
    if any(each.reason is RejectReason.MALFORMED for each in general.rejects):
        return  # The compiled reader passes over what it does not need, well-formed or not.
    assert [each.reason for each in general.rejects] == [each.reason for each in alone.rejects]
    assert general.device_ids == alone.device_ids
    assert general.time_us.tobytes() == alone.time_us.tobytes()
    assert general.values.tobytes() == alone.values.tobytes()


def check_batch(value: bytes) -> None:
    """Unpack a record batch whose checksum is right: the broker checks it too."""
    if len(value) <= HEADER_BYTES:
        return
    whole = bytearray(value)
    whole[CRC] = crc32c(value[CRC.stop :]).to_bytes(4, "big")
    try:
        for records in unpack([WholeBatch(whole)]):
            for i in range(len(records)):
                records[i]
    except DamagedBatchError:
        pass


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change some bytes of an input."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(5):
            case 0 if at < len(changed):
                changed[at] = rng.randrange(256)
            case 1:
                del changed[at : at + rng.randrange(1, 9)]
            case 2:
                changed[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 3:
                changed[at:at] = changed[at : at + rng.randrange(1, 64)]
            case _:
                changed[at:at] = rng.choice(EXTREME)
        if not changed:
            return data
    return bytes(changed)


def run_random(seconds: float, seed: int) -> int:
    """Check random changes for some seconds; return how many."""
    rng, corpus = random.Random(seed), seeds()
    ends_s, count = time.monotonic() + seconds, 0
    while time.monotonic() < ends_s:
        data = mutate(rng.choice(corpus), rng)
        try:
            check(data)
        except BaseException:
            print(f"after {count} inputs, this one: {data!r}", flush=True)
            raise
        count += 1
    return count


def run_atheris(seconds: float, seed: int, folder: Path) -> None:
    """Let atheris choose inputs by the code that they reach. It ends the process."""
    import atheris  # noqa: PLC0415 - optional

    for i, data in enumerate(seeds()):
        (folder / f"seed-{i}").write_bytes(data)
        check(data)  # loads the kernels, which libFuzzer would report as a slow input
    for function in python_functions():
        atheris.instrument_func(function)
    limits = [f"-max_total_time={round(seconds)}", f"-seed={seed + 1}", "-max_len=8192"]
    atheris.Setup([sys.argv[0], *limits, str(folder)], check)
    atheris.Fuzz()


def python_functions() -> Iterator[FunctionType]:
    """Yield the functions of this file and of the modules that read, except compiled ones."""
    rooms = ("streamer.contracts.", "streamer.profiles.", "streamer.kafka.")
    modules = [module for name, module in sys.modules.items() if name.startswith(rooms)]
    for module in [sys.modules[__name__], *modules]:
        for found in [*vars(module).values()]:
            inner = vars(found).values() if isinstance(found, type) else [found]
            for each in inner:
                if isinstance(each, FunctionType) and each.__module__ == module.__name__:
                    yield each


@click.command()
@click.option("--seconds", default=600.0, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(seconds: float, seed: int) -> None:
    """Feed broken bytes to the decoders."""
    if find_spec("atheris") is None:
        print(f"{run_random(seconds, seed):,} inputs, no fault")
        return
    import tempfile  # noqa: PLC0415 - only here

    with tempfile.TemporaryDirectory() as folder:
        run_atheris(seconds, seed, Path(folder))


if __name__ == "__main__":
    main()
