"""`streamer dlq`: look at refused records, and put them back."""

import asyncio
from pathlib import Path
from typing import Any

import click
import msgspec

from streamer.cli.options import settings_options
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

_KAFKA = ("bootstrap_servers", "readings_topic", "dlq_topic", "log_level", "log_format")


def _ids(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[LetterId]:
    try:
        return [LetterId.parse(value) for value in values]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_letters = click.argument("letters", nargs=-1, callback=_ids, metavar="[PARTITION:OFFSET]...")
_reason = click.option("--reason", "reasons", multiple=True, help="Only letters of this reason.")


@click.group
def dlq() -> None:
    """Look at the dead letters, records that could not be used, and put them back."""


@dlq.command("list")
@settings_options(*_KAFKA)
@_reason
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
def list_letters(settings: Settings, reasons: tuple[str, ...], as_machine: bool) -> None:
    """Count dead letters by reason, and how many of them were put back."""
    log.configure(settings)
    found = asyncio.run(dead_letters.survey(settings, Selection(reasons)))
    if as_machine:
        echo(msgspec.json.encode([msgspec.to_builtins(group) for group in found.groups()]))
    else:
        terminal().print(survey_table(found))


@dlq.command()
@settings_options(*_KAFKA)
@_letters
@_reason
@click.option("--limit", default=10, show_default=True, help="At most so many, the newest.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write them to a file, a JSON object a line, to be corrected and replayed.",
)
def show(
    settings: Settings,
    letters: list[LetterId],
    reasons: tuple[str, ...],
    limit: int,
    output: Path | None,
) -> None:
    """Show dead letters whole: where from, why, key, headers, value."""
    log.configure(settings)
    selection = Selection(reasons, ids=letters or None)
    chosen = asyncio.run(dead_letters.select(settings, selection, None if output else limit))
    if output:
        export_letters(output, chosen)
        echo(f"{output}: {len(chosen)} letters; correct them, then `streamer dlq replay`")
    else:
        echo("\n\n".join(letter_text(letter) for letter in chosen) or "no such letters")


@dlq.command()
@settings_options(*_KAFKA)
@_letters
@_reason
@click.option(
    "--from",
    "corrected",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put back what this file says: what `show --output` has written, corrected.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be put back.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def replay(settings: Settings, **chosen: Any) -> None:
    """Put dead letters back into the topic they came from, each of them once.

    Unchanged, or corrected with --from. What was put back before is left out. Old readings may come
    too late to count: a device that went on since has left them behind.
    """
    log.configure(settings)
    selection = Selection(chosen["reasons"], ids=chosen["letters"] or None)
    corrections = import_corrections(chosen["corrected"]) if chosen["corrected"] else None
    waiting = asyncio.run(dead_letters.letters_to_replay(settings, selection, corrections))
    echo(f"{len(waiting)} letters to put back")
    if chosen["dry_run"] or not waiting:
        return
    if not chosen["yes"]:
        click.confirm("Put them back?", abort=True)
    asyncio.run(dead_letters.put_back(settings, waiting))
    echo(f"put back {len(waiting)} letters")
