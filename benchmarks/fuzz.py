"""Feeds broken bytes to everything that reads what devices publish, for some minutes.

    python benchmarks/fuzz.py [--seconds 600] [--seed 0]

The inputs are readings in each format, and record batches in each compression, with bytes changed,
cut, inserted and repeated. With atheris installed (`pip install atheris`), it chooses the changes
by the code that they reach; without it they are random. A fault ends the run and prints the input.

What must hold: a decoder raises nothing; a record has either samples or one reject; samples are
finite, within the limits, and the same whatever other records are beside them; a batch is unpacked
or said to be damaged.
"""

import random
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np
from crc32c import crc32c

sys.path.insert(0, str(Path(__file__).parents[1]))

from streamer.contracts.decode import decode
from streamer.contracts.encode import encode
from streamer.contracts.readings import (
    CONTENT_TYPES,
    LARGEST_ACCELERATION,
    LARGEST_ROTATION,
    Format,
)
from streamer.contracts.records import OneRecord, Records
from streamer.kafka.aiokafka_internals import WholeBatch, build_batch
from streamer.kafka.record_batches import DamagedBatchError, unpack

START_MS = 1_763_906_400_000
KEY = b"phone"
SKEW_US = 300_000_000
CODECS = (0, 1, 2, 3, 4)
EXTREME = (b"1e999", b"-", b"null", b"[", b"]", b"\xff\xff\xff\xff", b'"', b"\\u0000")
HEADER_BYTES = 61
CRC = slice(17, 21)
"""Place of the checksum in the header of a batch; what follows it is checked."""
GOOD = OneRecord(*encode("phone", START_MS, 20.0, np.ones((3, 6)) / 2, Format.JSON), START_MS, 1)


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
    return found


def check(data: bytes) -> None:
    """Read an input; raise an error if what must hold does not."""
    if not data:
        return
    reader, value = data[0] % (len(Format) + len(CODECS)), data[1:]
    if reader >= len(Format):
        check_batch(value)
        return
    headers = [("content-type", CONTENT_TYPES[list(Format)[reader]])]
    check_record(OneRecord(KEY, value, headers, START_MS, 0))


def check_record(record: OneRecord) -> None:
    """Decode a record alone, and beside a good one."""
    alone = decode(Records.of([record]), SKEW_US)
    both = decode(Records.of([record, GOOD]), SKEW_US)
    assert (len(alone.rejects) == 1) == (len(alone.record) == 0), alone
    values = alone.values[np.isfinite(alone.values)]
    # Only the columns of a sensor that is missing are not finite.
    assert alone.complete or len(alone.sensors)
    assert len(values) == alone.values.size or not alone.complete
    assert np.nanmax(np.abs(alone.values[:, :3]), initial=0) <= LARGEST_ACCELERATION
    assert np.nanmax(np.abs(alone.values[:, 3:]), initial=0) <= LARGEST_ROTATION
    mine = both.record == 0
    assert np.array_equal(both.time_us[mine], alone.time_us)
    assert np.array_equal(both.values[mine], alone.values, equal_nan=True)
    assert (both.record == 1).sum() == 3, "the good record beside it was lost"


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
                extreme = (
                    b"1e999",
                    b"-",
                    b"null",
                    b"[",
                    b"]",
                    b"\xff\xff\xff\xff",
                    b'"',
                    b"\\u0000",
                )
                changed[at:at] = rng.choice(extreme)
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
    for function in (check, check_record, check_batch, decode, unpack):
        atheris.instrument_func(function)
    limits = [f"-max_total_time={round(seconds)}", f"-seed={seed + 1}", "-max_len=8192"]
    atheris.Setup([sys.argv[0], *limits, str(folder)], check)
    atheris.Fuzz()


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
