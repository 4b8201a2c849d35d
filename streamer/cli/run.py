"""`streamer run` runs a worker, or several."""

import click

from streamer.cli.options import settings_options
from streamer.process.event_loop import run_to_completion
from streamer.process.worker import run_worker
from streamer.settings import Settings


@click.command()
@settings_options()
@click.option(
    "--until-end",
    is_flag=True,
    help="Stop after the records that are in the topic at the start, for tests and backfills.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of processes. They share the partitions and one HTTP port. One that ends is "
    "started again.",
)
@click.pass_context
def run(ctx: click.Context, settings: Settings, until_end: bool, workers: int) -> None:
    """Read readings and publish activity events.

    SIGTERM or Ctrl-C commits what is in progress and ends the worker. A second Ctrl-C ends it at
    once. The exit code is 0 when the worker ends in order, 3 when it has read records and published
    no event, and 1 when an operator must act.
    """
    if workers == 1:
        summary = run_to_completion(run_worker(settings, until_end=until_end))
    else:
        # The imports of the supervisor would slow down the start of a single worker.
        from streamer.process.supervisor import supervise  # noqa: PLC0415

        summary = run_to_completion(supervise(settings, workers, until_end=until_end))
    ctx.exit(summary.exit_code(until_end=until_end))
