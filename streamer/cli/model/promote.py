"""`streamer model promote` and `rollback` choose the current version of a registry."""

from pathlib import Path

import click

from streamer.cli.model.registry_option import registry_option
from streamer.model import artifact
from streamer.model.registry import Registry
from streamer.terminal import echo


@click.command(short_help="Make a version of a registry the current one.")
@click.argument("version")
@registry_option
@click.option("--reason", default="", help="Why, for the history.")
def promote(version: str, registry: Registry, reason: str) -> None:
    """Make VERSION the current one of a registry.

    VERSION is the id of a version. A model file, or the name of a model in the package, such as
    `har`, is added to the registry first.
    """
    if version in artifact.NAMED or Path(version).is_file():
        model = artifact.load(Path(version))
        note = f"added from {version}: {model.card.training.data}"
        version = registry.add(model, data={}, figures={}, parent=None, note=note).id
    registry.promote(version, reason)
    echo(f"{registry.location}: {version} is the current version")


@click.command(short_help="Make the version before the current one current again.")
@registry_option
@click.option("--reason", default="", help="Why, for the history.")
def rollback(registry: Registry, reason: str) -> None:
    """Make the version current again that was current before the current one of a registry.

    Called again, it goes one further back. No version is removed.
    """
    echo(f"{registry.location}: {registry.rollback(reason)} is the current version again")
