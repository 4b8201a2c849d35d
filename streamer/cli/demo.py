"""`streamer demo` runs all parts on one machine and shows the live table."""

import click

from streamer.cli.options import settings_options
from streamer.settings import GatewaySettings
from streamer.terminal import terminal
from streamer.tools.demo import show_demo
from streamer.tools.phone_demo import show_phone_demo

_PEOPLE = 12


@click.command()
@click.option(
    "--phone",
    is_flag=True,
    help="Start a gateway too, show its address as a QR code, and label what a phone measures.",
)
@click.option(
    "--devices",
    type=click.IntRange(0),
    help=f"Number of simulated people.  [default: {_PEOPLE}, with --phone 0]",
)
@settings_options("http_host", "http_port", "gateway_port", model=GatewaySettings)
def demo(settings: GatewaySettings, phone: bool, devices: int | None) -> None:
    """Start a broker, a worker and simulated devices, and show the live table until Ctrl-C."""
    if phone:
        show_phone_demo(settings, devices or 0, terminal())
    else:
        show_demo(settings, _PEOPLE if devices is None else devices, terminal())
