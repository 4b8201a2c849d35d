"""`streamer demo` runs all parts on one machine and shows the live table."""

import click

from streamer.cli.options import settings_options
from streamer.settings import Settings
from streamer.terminal import terminal
from streamer.tools.demo import show_demo


@click.command()
@click.option(
    "--devices",
    type=click.IntRange(1),
    default=12,
    show_default=True,
    help="Number of simulated people.",
)
@settings_options("http_host", "http_port")
def demo(settings: Settings, devices: int) -> None:
    """Start a broker, a worker and simulated devices, and show the live table until Ctrl-C."""
    show_demo(settings, devices, terminal())
