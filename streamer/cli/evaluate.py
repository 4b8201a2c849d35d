"""`streamer evaluate` compares published labels of replayed recordings with the true ones."""

import asyncio
from pathlib import Path

import click
import msgspec

from streamer.cli.options import settings_options
from streamer.cli.profile_option import print_note, profile_option
from streamer.cli.progress import show_progress
from streamer.datasets.recording_sources import read_segments
from streamer.process import log
from streamer.profiles.profile import FileLayout
from streamer.reports.alignment_tables import alignment_as_json, alignment_as_tables
from streamer.settings import Settings
from streamer.terminal import echo, terminal
from streamer.tools.replayed_events import align_replayed


@click.command
@settings_options("bootstrap_servers", "readings_topic", "events_topic", "log_level", "log_format")
@click.option(
    "--labels",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="The labels.txt of the replayed recordings; with --profile, the recordings.",
)
@profile_option
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
def evaluate(settings: Settings, labels: Path, layout: FileLayout | None, as_machine: bool) -> None:
    """Compare published labels of replayed recordings with the true ones.

    Reads the events that are in the topic now. Windows wholly within one labelled activity are
    judged. A window that was published as unknown counts as wrong.
    """
    log.configure(settings)
    segments = read_segments(labels, layout, print_note)
    with show_progress():
        alignment = asyncio.run(align_replayed(settings, segments))
    if as_machine:
        echo(msgspec.json.encode(alignment_as_json(alignment)))
    else:
        terminal().print(alignment_as_tables(alignment))
