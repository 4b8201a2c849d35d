"""`streamer skip` tells the workers to skip a record that they cannot process."""

import asyncio

import click

from streamer.cli.options import settings_options
from streamer.kafka.skip import skip_record
from streamer.process import log
from streamer.settings import Settings
from streamer.terminal import echo

_PATIENCE_S = 10.0


@click.command()
@click.argument("partition", type=click.IntRange(0))
@click.argument("offset", type=click.IntRange(0))
@settings_options("bootstrap_servers", "readings_topic", "group_id")
def skip(settings: Settings, partition: int, offset: int) -> None:
    """Tell the workers to skip the record OFFSET of a PARTITION of the readings.

    Use it for a record on which streamer itself fails, or for the last record of a damaged batch.
    The log and /readyz name this record. It becomes a dead letter with the reason `skipped`. For a
    damaged batch, the letter says which records were lost. A running worker that has the partition
    continues within seconds.
    """
    log.configure(settings)
    asyncio.run(skip_record(settings, partition, offset, _PATIENCE_S))
    echo(f"the workers will skip the record {offset} of {settings.readings_topic}[{partition}]")
