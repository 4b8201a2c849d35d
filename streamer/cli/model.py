"""`streamer model`."""

from pathlib import Path

import click
from rich.console import Console

from streamer.model import artifact
from streamer.model.report import as_card
from streamer.model.train import ALGORITHMS, Algorithm
from streamer.model.train import train as train_model


def _numbers(_: click.Context, __: click.Parameter, value: str) -> list[int]:
    try:
        return [int(number) for number in value.split(",") if number]
    except ValueError:
        raise click.BadParameter(f"{value!r} are not numbers such as 1,3,5") from None


@click.group
def model() -> None:
    """Train a model, or look at one."""


@model.command
@click.argument("raw_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, such as model.npz.",
)
@click.option("--id", "model_id", default="har", show_default=True, help="Its name.")
@click.option(
    "--algorithm",
    type=click.Choice(list(ALGORITHMS)),
    default="lda",
    show_default=True,
    help="Linear discriminant analysis, or multinomial logistic regression.",
)
@click.option("--users", default="", callback=_numbers, help="Learn from these, such as 1,3,5.")
@click.option("--exclude-users", default="", callback=_numbers, help="Do not learn from these.")
@click.option(
    "--seed", default=0, show_default=True, help="Chooses where windows start and how copies vary."
)
def train(
    raw_dir: Path,
    output: Path,
    model_id: str,
    algorithm: Algorithm,
    users: list[int],
    exclude_users: list[int],
    seed: int,
) -> None:
    """Learn from the recordings in RAW_DIR and check on users left out.

    RAW_DIR is the folder RawData of the public download: acc_*.txt, gyro_*.txt and labels.txt.
    """
    trained = train_model(
        raw_dir, model_id, algorithm, users, exclude_users, seed, report=click.echo
    )
    artifact.save(output, trained)
    click.echo(f"{output}: {trained.card.id} {trained.version}")


@model.command
@click.argument("path", default=artifact.SHIPPED, type=click.Path(path_type=Path))
def show(path: Path) -> None:
    """Say what a model is: the one in the package, or the one at PATH."""
    Console().print(as_card(artifact.load(path)))
