"""`streamer model compare` judges several models by the same windows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from streamer.cli.model.progress import show_progress
from streamer.cli.model.source_options import source_options
from streamer.model import artifact
from streamer.reports.judgement_tables import (
    comparison_as_json,
    comparison_as_tables,
)
from streamer.terminal import echo, terminal
from streamer.training.candidates import (
    judge_candidates,
    users_learned_from,
)
from streamer.training.linear_classifiers import ALGORITHMS
from streamer.training.training_windows import TrainingSource


@click.command(short_help="Judge several models by the same windows.")
@click.argument("candidates", metavar="[SOURCE] CANDIDATES...", nargs=-1, required=True)
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
@source_options
def compare(
    sources: list[TrainingSource],
    candidates: Sequence[str],
    as_machine: bool,
    selection: dict[str, Any],
) -> None:
    """Judge several models by the same windows of the recordings in SOURCE.

    CANDIDATES are model files or algorithms (blend, tree, lda, logistic). Algorithms are
    cross-validated on the same folds. Differences are to the first candidate.
    """
    with show_progress() as report:
        found = judge_candidates(candidates, sources, selection, report)
    for name, judged in found.items():
        if name not in ALGORITHMS and (
            known := users_learned_from(artifact.load(Path(name)), judged)
        ):
            echo(f"{name} has learned from these users: {', '.join(known)}", err=True)
    if as_machine:
        echo(msgspec.json.encode(comparison_as_json(found)))
    else:
        terminal().print(comparison_as_tables(found), highlight=False)
