"""`streamer model` trains, judges and promotes models: each command is a file here, or two."""

import click

from streamer.cli.model import adapt, compare, evaluate, history, promote, show, train, update


@click.group
def model() -> None:
    """Train, judge, compare, show or promote models."""


for command in (
    train.train,
    adapt.adapt,
    evaluate.evaluate,
    compare.compare,
    show.show,
    history.history,
    update.update,
    promote.promote,
    promote.rollback,
):
    model.add_command(command)
