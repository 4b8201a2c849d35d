"""`streamer config`: what the settings are, and where each came from."""

from pathlib import Path
from typing import Any

import click
import rich
from rich.table import Table

from streamer.cli.options import settings_options
from streamer.settings import Settings, origins


@click.group()
def config() -> None:
    """Show and check the settings."""


@config.command()
@settings_options()
@click.pass_context
def show(ctx: click.Context, settings: Settings) -> None:
    """Every setting, its value (secrets hidden) and where it came from."""
    came_from = origins(*_given(ctx))
    table = Table("setting", "value", "from", box=None, header_style="bold")
    for name in Settings.model_fields:
        value = getattr(settings, name)
        table.add_row(name, "" if value is None else str(value), came_from[name])
    rich.print(table)


@config.command()
@settings_options()
def check(settings: Settings) -> None:  # noqa: ARG001 - loading them is the check
    """Check the settings without running anything."""
    click.echo("The settings are fine.")


def _given(ctx: click.Context) -> tuple[dict[str, Any], Path | None]:
    given = {name: value for name, value in ctx.params.items() if value is not None}
    return given, given.pop("config", None)
