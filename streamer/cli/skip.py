"""`streamer skip`: have the workers skip a record that they cannot process."""

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
    """Have the workers skip the record OFFSET of a PARTITION of the readings.

    For a record on which the program itself fails, or the last record of a damaged batch: the log
    and /readyz name it. The record goes to the dead-letter topic with the reason `skipped`; for a
    batch, a letter says which records were lost. A running worker that holds the partition takes it
    up again within seconds.
    """
    log.configure(settings)
    asyncio.run(skip_record(settings, partition, offset, _PATIENCE_S))
    echo(f"the workers will skip the record {offset} of {settings.readings_topic}[{partition}]")
