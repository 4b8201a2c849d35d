"""`streamer dlq` shows dead letters, puts them back, and asks again about refused windows."""

import asyncio
from pathlib import Path
from typing import Any

import click
import msgspec

from streamer.cli.options import settings_options
from streamer.cli.progress import show_progress
from streamer.contracts.dead_letters import REFUSED
from streamer.datasets.progress import ReportProgress
from streamer.metrics import Metrics
from streamer.predict.factory import open_predictor
from streamer.process import log
from streamer.settings import Settings
from streamer.terminal import echo, terminal
from streamer.tools import dead_letters
from streamer.tools.dead_letters import LetterId, Selection
from streamer.tools.letter_formats import (
    export_letters,
    import_corrections,
    letter_text,
    survey_table,
)
from streamer.tools.letter_replay import find_waiting, put_back
from streamer.tools.letter_survey import survey_letters
from streamer.tools.window_replay import ReplayCounts, find_refused, predict_refused

_PREDICTION = (
    *("predictor", "model", "endpoint", "endpoint_format", "endpoint_variable", "endpoint_labels"),
    *("batch_windows", "batch_wait_ms", "max_concurrency", "max_rate", "attempt_timeout_s"),
    *("predict_deadline_s", "when_down"),
)

_KAFKA = ("bootstrap_servers", "readings_topic", "dlq_topic", "log_level", "log_format")


def _ids(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[LetterId]:
    try:
        return [LetterId.parse(value) for value in values]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_letters = click.argument("letters", nargs=-1, callback=_ids, metavar="[PARTITION:OFFSET]...")
_reason = click.option("--reason", "reasons", multiple=True, help="Only letters with this reason.")


@click.group
def dlq() -> None:
    """Show dead letters, which are rejected records and refused windows, and put them back."""


@dlq.command("list", short_help="Count dead letters by reason.")
@settings_options(*_KAFKA)
@_reason
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
def list_letters(settings: Settings, reasons: tuple[str, ...], as_machine: bool) -> None:
    """Count dead letters by reason, and how many of them were put back."""
    log.configure(settings)
    with show_progress():
        found = asyncio.run(survey_letters(settings, Selection(reasons)))
    if as_machine:
        echo(msgspec.json.encode([msgspec.to_builtins(group) for group in found.groups()]))
    else:
        terminal().print(survey_table(found))


@dlq.command(short_help="Show dead letters.")
@settings_options(*_KAFKA)
@_letters
@_reason
@click.option(
    "--limit", default=10, show_default=True, help="Number of letters to show, the newest ones."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all letters to a file with one JSON object in each line, for `dlq replay --from`.",
)
def show(
    settings: Settings,
    letters: list[LetterId],
    reasons: tuple[str, ...],
    limit: int,
    output: Path | None,
) -> None:
    """Show each dead letter with its origin, reason, key, headers and value."""
    log.configure(settings)
    selection = Selection(reasons, ids=letters or None)
    if output:
        with show_progress():
            count = asyncio.run(export_letters(output, dead_letters.select(settings, selection)))
        echo(f"{output}: {count} letters; correct them, then `streamer dlq replay`")
    else:
        with show_progress():
            chosen = asyncio.run(dead_letters.newest(settings, selection, limit))
        echo("\n\n".join(letter_text(letter) for letter in chosen) or "no such letters")


@dlq.command(short_help="Put dead letters back.")
@settings_options(*_KAFKA)
@_letters
@_reason
@click.option(
    "--from",
    "corrected",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put back the letters of this file: one of `dlq show --output`, with corrections.",
)
@click.option("--dry-run", is_flag=True, help="Only say how many would be put back.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def replay(settings: Settings, **chosen: Any) -> None:
    """Put dead letters back into the partition from which they came, each of them once.

    They are put back unchanged, or corrected with --from. Letters that were put back before are
    left out. The samples of a reading are late if its device has sent newer readings since. Refused
    windows are not readings: `streamer dlq predict` asks about them again.
    """
    if REFUSED in chosen["reasons"]:
        raise click.UsageError("a refused window is not a reading; use `streamer dlq predict`")
    log.configure(settings)
    selection = Selection(chosen["reasons"], ids=chosen["letters"] or None)
    corrections = import_corrections(chosen["corrected"]) if chosen["corrected"] else None
    with show_progress():
        waiting = asyncio.run(find_waiting(settings, selection, corrections))
    echo(f"{waiting.count} letters to put back")
    if waiting.cut:
        echo(f"{waiting.cut} more were not kept whole and cannot go back")
    if waiting.doubtful:
        echo(
            f"{waiting.doubtful} more stay: they are before a damaged batch, which may have had "
            "their receipts"
        )
    if chosen["dry_run"] or not waiting.count:
        return
    if not chosen["yes"]:
        click.confirm("Put them back?", abort=True)
    with show_progress() as report:
        count = asyncio.run(put_back(settings, selection, corrections, report))
    echo(f"put back {count} letters")


@dlq.command(short_help="Ask again about refused windows.")
@settings_options(*_KAFKA, "events_topic", "min_confidence", *_PREDICTION)
@click.option("--dry-run", is_flag=True, help="Only show how many windows would be asked about.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def predict(settings: Settings, dry_run: bool, yes: bool) -> None:
    """Ask the predictor again about refused windows, and publish their events.

    Each window gets one event, however often this command runs. Windows that are refused again
    remain dead letters. Give this command the same predictor settings as the workers.
    """
    log.configure(settings)
    with show_progress():
        waiting = asyncio.run(find_refused(settings))
    echo(f"{len(waiting)} refused windows")
    if dry_run or not waiting:
        return
    if not yes:
        click.confirm("Ask about them again, and publish their events?", abort=True)
    with show_progress() as report:
        outcome = asyncio.run(_predict(settings, report))
    echo(
        f"published {outcome.published} events; refused again: {outcome.refused}, "
        f"no answer: {outcome.unavailable}, cannot be read: {outcome.unreadable}"
    )


async def _predict(settings: Settings, report: ReportProgress) -> ReplayCounts:
    async with open_predictor(settings, Metrics(), lambda _: None) as ask:
        return await predict_refused(settings, ask, report)
