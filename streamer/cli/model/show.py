"""`streamer model show` shows the card of a model."""

from pathlib import Path

import click

from streamer.model import artifact
from streamer.reports.model_card_table import card_as_table
from streamer.terminal import terminal


@click.command(short_help="Show the card of a model.")
@click.argument("path", default=artifact.DEFAULT_MODEL, type=click.Path(path_type=Path))
def show(path: Path) -> None:
    """Show the card of the default model of the package, or of the model at PATH."""
    terminal().print(card_as_table(artifact.load(path)))
