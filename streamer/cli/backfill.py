"""`streamer backfill` processes old readings again, into new topics."""

import click

from streamer.cli.options import flag_names, settings_options
from streamer.cli.times import Moment
from streamer.kafka.backfill import derive_settings
from streamer.process.backfill import run_backfill
from streamer.process.event_loop import run_to_completion
from streamer.settings import TOPIC_SETTINGS, Settings

_LIVE = {*TOPIC_SETTINGS, "disagreements_topic", "instance_id"} - {"readings_topic"}

_GIVEN = [
    name
    for name in flag_names(Settings)
    if name not in _LIVE and not name.startswith(("shadow_", "canary_", "store_"))
]
"""Settings with flags. The output topics are derived from the new topic of events, and what only
the live workers have cannot be given."""


@click.command(short_help="Process old readings again, into new topics.")
@click.option("--from", "from_ms", type=Moment(), required=True, help="Kafka's time of the first.")
@click.option("--to", "to_ms", type=Moment(), required=True, help="Kafka's time after the last.")
@click.option(
    "--events-topic", "new_topic", required=True, metavar="NEW", help="New topic of events."
)
@settings_options(*_GIVEN)
@click.pass_context
def backfill(
    ctx: click.Context, settings: Settings, from_ms: float, to_ms: float, new_topic: str
) -> None:
    """Process the readings of a range of time again, into new topics, and end.

    Give it the settings of the live workers, and what is to be different, such as --model. It has a
    consumer group of its own and writes to NEW, NEW-segments, NEW-current and NEW-dlq; the live
    workers and topics are not touched. It has no shadow and no canary, and stores no features. If
    it is interrupted, the same command goes on. Several processes of the same command share the
    work.
    """
    new = derive_settings(settings, new_topic)
    summary = run_to_completion(run_backfill(new, round(from_ms), round(to_ms)))
    ctx.exit(summary.exit_code(until_end=True))
