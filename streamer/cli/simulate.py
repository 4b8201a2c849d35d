"""`streamer simulate` publishes synthetic people as devices."""

import asyncio
import math

import click

from streamer.cli.options import TOPICS, settings_options
from streamer.cli.publishing import sending_options
from streamer.process import log
from streamer.publishing.faults import SensorFaults
from streamer.publishing.sending import Sending
from streamer.publishing.simulate import simulate as publish_people
from streamer.settings import Settings
from streamer.terminal import echo, terminal

_SHARE = click.FloatRange(0, 1)


@click.command()
@click.option(
    "--devices", type=click.IntRange(1), default=10, show_default=True, help="Number of people."
)
@click.option(
    "--duration",
    type=click.FloatRange(0, min_open=True),
    default=math.inf,
    metavar="SECONDS",
    help="Length of the samples, by their own time.  [default: until Ctrl-C]",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of people and faults.",
)
@sending_options
@click.option(
    "--jitter",
    type=click.FloatRange(0, 5),
    default=0,
    metavar="MS",
    help="Take samples at irregular times, with this standard deviation.",
)
@click.option(
    "--gap", type=_SHARE, default=0, help="Lose this share of samples, up to 5 s at a time."
)
@click.option("--late", type=_SHARE, default=0, help="Send this share of records late.")
@click.option("--duplicate", type=_SHARE, default=0, help="Send this share of records twice.")
@click.option("--bad", type=_SHARE, default=0, help="Add malformed records, as a share.")
@settings_options(
    *TOPICS,
    "log_level",
    "log_format",
)
def simulate(
    settings: Settings,
    sending: Sending,
    devices: int,
    duration: float,
    seed: int,
    jitter: float,
    gap: float,
    late: float,
    duplicate: float,
    bad: float,
) -> None:
    """Publish synthetic people who walk, climb stairs, sit, stand and lie, as phone-001 and so on.

    Faults are shares, such as --late 0.01. Ctrl-C stops after the records that are counted as sent
    have arrived.
    """
    log.configure(settings)
    simulated = asyncio.run(
        publish_people(
            settings,
            sending,
            devices=devices,
            duration_s=duration,
            seed=seed,
            faults=SensorFaults(jitter, gap, late, duplicate, bad),
            console=terminal(stderr=True),
        )
    )
    echo(f"sent {simulated}")
