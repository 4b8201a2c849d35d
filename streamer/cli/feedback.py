"""`streamer feedback` says what a device really did."""

import asyncio
import getpass
import time

import click

from streamer.cli.options import settings_options
from streamer.cli.times import Moment
from streamer.contracts.ground_truth import ActivityLabel, check_label
from streamer.errors import SettingsError
from streamer.kafka.ground_truth import publish_label
from streamer.process import log
from streamer.settings import Settings
from streamer.terminal import echo

_DEFAULT_MS = 60_000


@click.command
@settings_options(
    "bootstrap_servers",
    "readings_topic",
    "labels_topic",
    "label_activities",
    "create_topics",
    "partitions",
    "log_level",
    "log_format",
)
@click.option("--device", required=True, metavar="ID", help="Id of the device.")
@click.option("--activity", required=True, help="What it did, such as walking.")
@click.option(
    "--since",
    type=Moment(),
    metavar="TIME",
    help="Start, by the clock of the device: 2026-11-27T12:00:00Z, or milliseconds since the epoch."
    "  [default: a minute before the end]",
)
@click.option("--until", type=Moment(), metavar="TIME", help="End, exclusive.  [default: now]")
@click.option("--by", metavar="NAME", help="Who says so.  [default: the user of this machine]")
def feedback(
    settings: Settings,
    device: str,
    activity: str,
    since: float | None,
    until: float | None,
    by: str | None,
) -> None:
    """Say what a device did for a stretch of time, as ground truth for `streamer model update`."""
    log.configure(settings)
    now_ms = time.time_ns() // 1_000_000
    end = now_ms if until is None else round(until)
    start = end - _DEFAULT_MS if since is None else round(since)
    label = ActivityLabel(
        device_id=device, start=start, end=end, activity=activity, by=by or _own_name()
    )
    check_label(label, settings.known_activities, now_ms)
    asyncio.run(publish_label(settings, label))
    echo(f"{device} was {activity} for {(end - start) / 1000:g} s, says {label.by}")


def _own_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run with the number of a user that it does not know.
        raise SettingsError(
            "the user of this machine has no name; --by names who says so"
        ) from None
