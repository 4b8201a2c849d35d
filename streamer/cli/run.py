"""`streamer run`: the worker."""

import click

from streamer.cli.options import settings_options
from streamer.process.event_loop import run_to_completion
from streamer.process.supervisor import supervise
from streamer.process.worker import run_worker
from streamer.settings import Settings


@click.command()
@settings_options()
@click.option(
    "--until-end",
    is_flag=True,
    help="Stop after what is in the topic now: for tests, backfills and evaluation.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes, started again when they end; they share the partitions and one port.",
)
def run(settings: Settings, until_end: bool, workers: int) -> None:
    """Read readings, publish activity events.

    Ctrl-C or SIGTERM commits what is on its way and ends; a second Ctrl-C ends at once.
    """
    if workers == 1:
        run_to_completion(run_worker(settings, until_end=until_end))
    else:
        run_to_completion(supervise(settings, workers, until_end=until_end))
