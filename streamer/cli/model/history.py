"""`streamer model history` lists the versions of a registry and their promotions."""

import click
import msgspec

from streamer.cli.model.registry_option import registry_option
from streamer.model.registry import Registry
from streamer.reports.version_tables import history_as_tables
from streamer.terminal import echo, terminal


@click.command(short_help="List the versions of a registry.")
@registry_option
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
def history(registry: Registry, as_machine: bool) -> None:
    """List the versions of a registry, oldest first, and when each became the current one."""
    found = registry.history()
    if as_machine:
        echo(msgspec.json.encode(found._asdict()))
    else:
        terminal().print(*history_as_tables(found), sep="\n")
