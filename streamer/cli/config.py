"""`streamer config` shows and checks the settings, with the source of each value."""

import json

import click
from rich.table import Table

from streamer.cli.options import flag_names, settings_options
from streamer.settings import Settings, as_toml, origins
from streamer.terminal import echo, terminal


@click.group()
def config() -> None:
    """Show and check the settings."""


@config.command()
@settings_options()
@click.option("--toml", is_flag=True, help="Print a file for --config, without secrets.")
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
@click.pass_context
def show(ctx: click.Context, settings: Settings, toml: bool, as_machine: bool) -> None:
    """Show every setting with its value and the source of the value. Secrets are hidden."""
    if toml:
        echo(as_toml(settings), newline=False)
        return
    given = {name: ctx.params[name] for name in flag_names(Settings)}
    flags = {name: value for name, value in given.items() if value is not None}
    came_from = origins(flags, ctx.params["config"])
    if as_machine:
        values = json.loads(settings.model_dump_json())
        both = {name: {"value": values[name], "from": came_from[name]} for name in came_from}
        echo(json.dumps(both, ensure_ascii=False))
        return
    table = Table(box=None, header_style="bold")
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", no_wrap=True)
    for name, value in settings:
        shown = "" if value is None else str(value)
        table.add_row(name, shown, came_from[name])
    terminal().print(table)


@config.command()
@settings_options()
def check(settings: Settings) -> None:
    """Check the settings, certificates, secrets and model files without running anything."""
    from streamer.kafka.security import security_options  # noqa: PLC0415 - slow to import
    from streamer.predict.chosen_models import choose_feature_set  # noqa: PLC0415 - slow to import

    security_options(settings)
    choose_feature_set(settings)
    echo("The settings are valid.")
