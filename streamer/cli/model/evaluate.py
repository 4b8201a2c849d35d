"""`streamer model evaluate` judges a model or an algorithm by recordings."""

from pathlib import Path
from typing import Any

import click
import msgspec

from streamer.cli.model.progress import show_progress
from streamer.cli.model.source_options import source_options
from streamer.model import artifact
from streamer.reports.judgement_page import write_page
from streamer.reports.judgement_tables import (
    judgement_as_json,
    judgement_as_tables,
)
from streamer.terminal import echo, terminal
from streamer.training.candidates import (
    find_unnamed,
    judge_candidates,
    users_learned_from,
)
from streamer.training.linear_classifiers import ALGORITHMS, Algorithm
from streamer.training.training_windows import TrainingSource


@click.command(short_help="Judge a model or an algorithm by recordings.")
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option(
    "--model",
    "path",
    default=artifact.DEFAULT_MODEL,
    type=click.Path(path_type=Path),
    help="Model to judge, a file or a name; by default, the default model of the package.",
)
@click.option("--cross-validate", is_flag=True, help="Judge an algorithm instead of a model.")
@click.option(
    "--leave-out",
    metavar="NAME",
    help="With --cross-validate: judge by the source with this name, and learn from the others.",
)
@click.option(
    "--algorithm",
    type=click.Choice(list(ALGORITHMS)),
    default="blend",
    show_default=True,
    help="With --cross-validate: the algorithm to judge.",
)
@click.option(
    "--report",
    "page_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the results as one HTML page with pictures.",
)
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
@source_options
def evaluate(
    sources: list[TrainingSource],
    path: Path,
    cross_validate: bool,
    leave_out: str | None,
    algorithm: Algorithm,
    page_path: Path | None,
    as_machine: bool,
    selection: dict[str, Any],
) -> None:
    """Judge a model by the recordings in SOURCE, or judge an algorithm with --cross-validate.

    Cross-validation divides the users into folds. The users of each fold are judged by a model
    that has learned from the other folds. If a model file has learned from some of the users, a
    warning names them: the figures are then too good.
    """
    if leave_out is not None and not cross_validate:
        raise click.UsageError("--leave-out goes with --cross-validate")
    with show_progress() as report:
        if cross_validate:
            title = f"{ALGORITHMS[algorithm]}, " + (
                "cross-validated over users"
                if leave_out is None
                else f"judged by {leave_out}, learned from the others"
            )
            found = judge_candidates([algorithm], sources, selection, report, leave_out)
            [judged] = found.values()
        else:
            title = f"{path.name}"
            [judged] = judge_candidates([str(path)], sources, selection, report).values()
            if known := users_learned_from(artifact.load(path), judged):
                echo(f"the model has learned from these users: {', '.join(known)}", err=True)
            elif note := find_unnamed(artifact.load(path), judged):
                echo(note, err=True)
    if page_path is not None:
        write_page(page_path, title, judged)
    if as_machine:
        echo(msgspec.json.encode(judgement_as_json(judged)))
    else:
        terminal().print(title, judgement_as_tables(judged), sep="\n", highlight=False)
