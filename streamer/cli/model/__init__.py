"""`streamer model` trains, judges, compares and shows models: each command is a file here."""

import click

from streamer.cli.model import adapt, compare, evaluate, show, train


@click.group
def model() -> None:
    """Train, judge, compare or show models."""


for command in (train.train, adapt.adapt, evaluate.evaluate, compare.compare, show.show):
    model.add_command(command)
