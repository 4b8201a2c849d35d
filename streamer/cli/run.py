"""`streamer run`: the worker."""

import asyncio

import click

from streamer import worker
from streamer.cli.options import settings_options
from streamer.settings import Settings


@click.command()
@settings_options()
@click.option(
    "--until-end",
    is_flag=True,
    help="Stop after what is in the topic now: for tests, backfills and evaluation.",
)
def run(settings: Settings, until_end: bool) -> None:
    """Read readings, publish activity events.

    Ctrl-C or SIGTERM commits what is on its way and ends; a second Ctrl-C ends at once.
    """
    asyncio.run(worker.run(settings, until_end=until_end))
