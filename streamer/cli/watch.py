"""`streamer watch` shows the current activity of every device."""

import asyncio
from contextlib import suppress

import click

from streamer.cli.options import settings_options
from streamer.process import log
from streamer.settings import Settings
from streamer.terminal import terminal
from streamer.tools.watch import watch as watch_events


@click.command
@settings_options(
    "bootstrap_servers", "events_topic", "http_host", "http_port", "log_level", "log_format"
)
@click.option("--from-beginning", is_flag=True, help="Start with the oldest event.")
def watch(settings: Settings, from_beginning: bool) -> None:
    """Show live what every device is doing; Ctrl-C ends.

    On a terminal it is a table, otherwise a line for each change. It also shows the drift and the
    devices without labels that the worker at http_host and http_port reports.
    """
    log.configure(settings)
    with suppress(KeyboardInterrupt):
        asyncio.run(watch_events(settings, terminal(), from_beginning=from_beginning))
