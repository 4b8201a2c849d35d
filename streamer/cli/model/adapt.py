"""`streamer model adapt` adapts a model to one person."""

from pathlib import Path
from typing import Any

import click

from streamer.cli.model.progress import show_progress
from streamer.cli.model.source_options import source_options
from streamer.model import artifact
from streamer.terminal import echo
from streamer.training.adaptation import adapt as adapt_model
from streamer.training.adaptation import judge_adaptation
from streamer.training.candidates import check_features
from streamer.training.training_windows import TrainingSource, read_training_windows


@click.command(short_help="Adapt a model to one person.")
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option(
    "--base",
    default=artifact.DEFAULT_MODEL,
    type=click.Path(path_type=Path),
    help="The model to adapt, a file or a name; by default, the default model of the package.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, such as anna.npz.",
)
@click.option(
    "--id",
    "model_id",
    help="Name of the adapted model; by default, the name of the base and `-adapted`.",
)
@source_options
def adapt(
    sources: list[TrainingSource],
    base: Path,
    output: Path,
    model_id: str | None,
    selection: dict[str, Any],
) -> None:
    """Adapt a model to the person whose labelled recordings are in SOURCE.

    Ten minutes of several activities are enough. The model keeps its classes and its features.
    """
    parent = artifact.load(base)
    given = selection | {"feature_set": parent.feature_set, "with_copies": False}
    with show_progress() as report:
        windows, _ = read_training_windows(sources, report=report, **given)
    check_features(parent, windows)
    adapted = adapt_model(parent, windows, model_id or f"{parent.card.id}-adapted")
    artifact.save(output, adapted)
    if (judged := judge_adaptation(parent, windows)) is not None:
        echo(
            f"macro-F1 of one window, every other recording learned from and the others judged: "
            f"{judged[0]:.4f} before, {judged[1]:.4f} adapted"
        )
        if judged[1] < judged[0]:
            echo("the adapted model is not better for these recordings: keep the base", err=True)
    echo(f"{output}: {adapted.card.id} {adapted.version}, adapted from {parent.card.id}")
