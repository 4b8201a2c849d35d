"""`streamer explain` shows how the label of a window came about, or why there is none."""

import asyncio
from pathlib import Path
from typing import Final

import click
import msgspec

from streamer.cli.options import settings_options
from streamer.cli.progress import show_progress
from streamer.process import log
from streamer.reports import html_page
from streamer.reports.explanation_page import write_explanation_page
from streamer.reports.explanation_tables import explanation_as_json, explanation_as_tables
from streamer.settings import Settings
from streamer.terminal import echo, terminal
from streamer.tools.explain import explain_window

ABSENT: Final = 3
DIFFERENT: Final = 4


@click.command(short_help="Show how the label of a window came about.")
@click.argument("window_id")
@settings_options()
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
@click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write a page there."
)
@click.pass_context
def explain(
    ctx: click.Context, settings: Settings, window_id: str, as_machine: bool, page: Path | None
) -> None:
    """Show how the label of the window WINDOW_ID came about, or why there is none.

    Reads the log of readings again and processes it as a worker does; give it the settings of the
    workers. Writes nothing. The exit code is 0 if the event that the readings give has the bytes of
    the published one, 3 if there is no such event, and 4 if the events differ.
    """
    log.configure(settings)
    if page is not None:
        html_page.require()
    with show_progress() as report:
        found = asyncio.run(explain_window(settings, window_id, report))
    if page is not None:
        write_explanation_page(page, found)
    if as_machine:
        echo(msgspec.json.encode(explanation_as_json(found)))
    else:
        terminal().print(explanation_as_tables(found))
    if found.absence is not None:
        ctx.exit(ABSENT)
    if not found.identical:
        ctx.exit(DIFFERENT)
