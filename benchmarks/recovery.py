"""Measures the recovery of a partition with many live devices.

    python benchmarks/recovery.py [--devices 1000] [--batch 1] [--seconds 120]

Devices publish for a while; a worker reads everything and is killed; the next worker recovers. The
result is one JSON object with what the worker has logged.
"""

import re
import sys
import tempfile
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import report
from streamer.localkafka.broker import LocalKafka
from streamer.settings import Settings
from tests.support.fleet import fleet, until
from tests.support.worker_process import simulate


@click.command()
@click.option("--devices", default=1000, show_default=True)
@click.option("--batch", default=1, show_default=True, help="Samples in a record.")
@click.option("--seconds", default=120, show_default=True, help="How long they have been live.")
def main(devices: int, batch: int, seconds: int) -> None:
    """Print records and seconds of a recovery, and the ratio to real time."""
    with tempfile.TemporaryDirectory() as scratch, LocalKafka() as kafka:
        settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers, "partitions": 1})
        load = ["--devices", str(devices), "--duration", str(seconds), "--batch", str(batch)]
        simulate(settings, *load, "--speed", "max", "--partitions", "1")
        with fleet(settings, Path(scratch)) as workers:
            workers.run_to_end()
            workers.start("second")
            until(lambda: " recovered " in workers.text("second"))
            found = re.search(r"records=(\d+) seconds=([\d.]+)", workers.text("second"))
        assert found
        records, taken_s = int(found[1]), float(found[2])
        real_s = records * batch / 50 / devices
        figures = {
            "benchmark": "recovery",
            "devices": devices,
            "batch": batch,
            "records": records,
            "seconds": taken_s,
            "times_real_time": round(real_s / taken_s, 1),
        }
        report([figures])


if __name__ == "__main__":
    main()
