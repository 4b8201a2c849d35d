"""`streamer model train` trains a model with recordings."""

from pathlib import Path
from typing import Any

import click

from streamer.cli.model.progress import show_progress
from streamer.cli.model.source_options import source_options
from streamer.model import artifact
from streamer.reports.model_card_table import card_as_table
from streamer.terminal import echo, terminal
from streamer.training.linear_classifiers import ALGORITHMS, Algorithm
from streamer.training.train import train as train_model
from streamer.training.training_windows import TrainingSource, read_training_windows


@click.command(short_help="Train a model with recordings, and judge it.")
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, such as model.npz.",
)
@click.option("--id", "model_id", default="har", show_default=True, help="Name of the model.")
@click.option(
    "--algorithm",
    type=click.Choice(list(ALGORITHMS)),
    default="blend",
    show_default=True,
    help="A tree of linear discriminants, with or without boosted trees; one discriminant; or "
    "multinomial logistic regression.",
)
@click.option("--data", help="Description of the source of the data, for the model card.")
@source_options
def train(
    sources: list[TrainingSource],
    output: Path,
    model_id: str,
    algorithm: Algorithm,
    data: str | None,
    selection: dict[str, Any],
) -> None:
    """Train a model with the recordings in SOURCE, and judge it on users left out of training.

    SOURCE is the folder RawData of the public download (acc_*.txt, gyro_*.txt and labels.txt),
    recordings of other devices (see --profile), or features as `streamer dataset convert
    --with-subject` writes them.
    """
    with show_progress() as report:
        windows, kind = read_training_windows(sources, **selection, report=report)
        trained = train_model(windows, model_id, algorithm, data or kind, selection["seed"], report)
    artifact.save(output, trained)
    terminal().print(card_as_table(trained))
    echo(f"{output}: {trained.card.id} {trained.version}")
