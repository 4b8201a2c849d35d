"""Measures decoding of readings, relative to `json.loads` of the same bytes in the same run.

    python benchmarks/decode.py

A profile reads the same JSON as the contract's own reader.

`json.loads` only parses. Decoding also checks key, shape, times and values, and returns columns.
"""

import json
import timeit
from dataclasses import dataclass

import click
import numpy as np

from streamer.contracts.decode import decode
from streamer.contracts.encode import encode
from streamer.contracts.readings import Format
from streamer.contracts.records import Records
from streamer.profiles.profile_decoder import ProfileDecoder
from streamer.profiles.record_layout import RecordLayout

NOW_MS = 1_763_906_400_000
SKEW_US = 300_000_000
DEVICES = 200


@dataclass
class FetchedRecord:
    """Like aiokafka's ConsumerRecord."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int
    offset: int


def fetched(count: int, samples: int, form: Format) -> list[FetchedRecord]:
    """Records of many devices in turn, with the five decimals that sensors are good for."""
    rng = np.random.default_rng(1)
    records = []
    for offset in range(count):
        values = rng.normal(size=(samples, 6)).round(5)
        interval = None if samples == 1 else 20
        device_id = f"phone-{offset % DEVICES}"
        key, value, headers = encode(device_id, NOW_MS + offset, interval, values, form)
        records.append(FetchedRecord(key, value, tuple(headers), NOW_MS + offset, offset))
    return records


def profile(each: str) -> ProfileDecoder:
    """A profile of the contract's JSON; ``each`` is `[]` for batches."""
    layout = {
        "time": {"field": "timestamp"},
        "acc": {"fields": [f"acc{each}.{axis}" for axis in range(3)], "unit": "g"},
        "gyro": {"fields": [f"gyro{each}.{axis}" for axis in range(3)], "unit": "rad/s"},
    }
    return ProfileDecoder(
        RecordLayout.model_validate(layout | ({"interval": "interval_ms"} if each else {}))
    )


def seconds_a_record(job: str, names: dict[str, object], records: int, repeat: int) -> float:
    """The best of several runs."""
    return min(timeit.repeat(job, globals=names, number=1, repeat=repeat)) / records


@click.command()
@click.option("--records", default=2000, show_default=True, help="Records in a fetch.")
@click.option("--repeat", default=7, show_default=True, help="Runs; the best one counts.")
def main(records: int, repeat: int) -> None:
    """Print records/s and samples/s for each format and batch size."""
    click.echo("format   samples   records/s    samples/s   us/record   json.loads us   ratio")
    for samples in (1, 50):
        texts = [record.value for record in fetched(records, samples, Format.JSON)]
        parse = seconds_a_record(
            "for text in texts: loads(text)", {"texts": texts, "loads": json.loads}, records, repeat
        )
        for form in Format:
            names = {
                "decode": decode,
                "batch": Records.of(fetched(records, samples, form)),
                "skew": SKEW_US,
            }
            spent = seconds_a_record("decode(batch, skew)", names, records, repeat)
            show(form, samples, spent, parse)
        names = {
            "decode": profile("" if samples == 1 else "[]").decode,
            "batch": Records.of(fetched(records, samples, Format.JSON)),
            "skew": SKEW_US,
        }
        spent = seconds_a_record("decode(batch, skew)", names, records, repeat)
        show("profile", samples, spent, parse)


def show(form: str, samples: int, spent: float, parse: float) -> None:
    """Print one line."""
    click.echo(
        f"{form:8} {samples:7} {1 / spent:11,.0f} {samples / spent:12,.0f} "
        f"{spent * 1e6:11.2f} {parse * 1e6:15.2f} {spent / parse:7.2f}"
    )


if __name__ == "__main__":
    main()
