"""`streamer model` trains, judges, compares and shows models."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streamer.cli.profile_option import find_layout, print_note, profile_option
from streamer.datasets.progress import ReportProgress
from streamer.features import GRAVITY_FRAME, GRAVITY_FRAME_ACC, UCI_HAR
from streamer.model import artifact
from streamer.profiles.profile import FileLayout
from streamer.reports.judgement_page import write_page
from streamer.reports.judgement_tables import (
    comparison_as_json,
    comparison_as_tables,
    judgement_as_json,
    judgement_as_tables,
)
from streamer.reports.model_card_table import card_as_table
from streamer.terminal import echo, terminal
from streamer.training.adaptation import adapt as adapt_model
from streamer.training.adaptation import judge_adaptation
from streamer.training.candidates import (
    check_features,
    find_unnamed,
    judge_candidates,
    users_learned_from,
)
from streamer.training.linear_classifiers import ALGORITHMS, Algorithm
from streamer.training.train import train as train_model
from streamer.training.training_windows import TrainingSource, read_training_windows

Command = Callable[..., Any]

FEATURE_SETS = {
    "gravity": GRAVITY_FRAME,
    "gravity-acc": GRAVITY_FRAME_ACC,
    "published": UCI_HAR,
}


def _names(_: click.Context, __: click.Parameter, value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def _placed_sources(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> list[TrainingSource]:
    found = []
    for value in values:
        place, _equals, rest = value.partition("=")
        path, *options = rest.split(",")
        given = dict(option.partition("=")[::2] for option in options)
        name, profile = given.pop("name", place), given.pop("profile", None)
        if not (place and name and path) or given or "/" in name:
            raise click.BadParameter(
                f"{value!r} is not PLACE=FOLDER, such as waist=FOLDER or "
                "pocket=FOLDER,profile=coremotion,name=mine"
            )
        layout = None if profile is None else find_layout(profile)
        found.append(TrainingSource(Path(path), layout, place, name))
    if len({source.name for source in found}) < len(found):
        raise click.BadParameter("two sources have the same name; append ,name=... to one of them")
    return found


def source_options(command: Command) -> Command:
    """Add the options that select sources and windows.

    The command is called with the keyword arguments ``sources`` and ``selection``.
    """

    @wraps(command)
    def with_sources(
        placed: list[TrainingSource], layout: FileLayout | None, features: str, **given: Any
    ) -> Any:
        first = given.pop("source", None)
        if "candidates" in given and not placed:
            # Without --source, the first argument of `compare` is SOURCE.
            first, *given["candidates"] = given["candidates"]
        sources = placed if first is None else [*placed, TrainingSource(Path(first), layout)]
        if not sources:
            raise click.UsageError("name the recordings, as SOURCE or as --source PLACE=FOLDER")
        if missing := [source.path for source in sources if not source.path.exists()]:
            raise click.UsageError(f"{missing[0]} does not exist")
        selection = {name: given.pop(name) for name in ("users", "exclude_users", "seed")}
        selection |= {"note": print_note, "feature_set": FEATURE_SETS[features]}
        return command(sources=sources, selection=selection, **given)

    wrapped: Command = with_sources
    for option in (
        click.option(
            "--features",
            type=click.Choice(list(FEATURE_SETS)),
            default="gravity",
            show_default=True,
            help="Features to learn from: in the frame of gravity (`gravity`), the same of "
            "acceleration alone (`gravity-acc`), or as published.",
        ),
        click.option(
            "--seed",
            default=0,
            show_default=True,
            help="Seed of the random offsets of windows and of the varied copies.",
        ),
        click.option(
            "--exclude-users", default="", callback=_names, help="Users to leave out, such as 2,4."
        ),
        click.option(
            "--users",
            default="",
            callback=_names,
            help="Users to take, such as 1,3,5 or waist/1.  [default: all]",
        ),
        profile_option,
        click.option(
            "--source",
            "placed",
            multiple=True,
            callback=_placed_sources,
            metavar="PLACE=FOLDER[,profile=...][,name=...]",
            help="Recordings of devices at one place, such as pocket=FOLDER,profile=coremotion. "
            "The option can be repeated. User 3 of the source is called PLACE/3, or NAME/3.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


_SHARES = {"windows of recordings": 0.52, "cross-validation": 0.4, "fitting to all users": 0.08}
"""Share of each part in the time of a training, measured on the public data set."""


@contextmanager
def _progress() -> Iterator[ReportProgress]:
    """Show a progress bar with the remaining time, if standard error is a terminal."""
    console = terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=1)
        parts = list(_SHARES)

        def report(part: str, done: int, total: int) -> None:
            before = sum(_SHARES[each] for each in parts[: parts.index(part)])
            share = before + _SHARES[part] * done / total
            bar.update(task, description=f"{part} {done}/{total}", completed=share)

        yield report


@click.group
def model() -> None:
    """Train, judge, compare or show models."""


@model.command
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
    with _progress() as report:
        windows, kind = read_training_windows(sources, **selection, report=report)
        trained = train_model(windows, model_id, algorithm, data or kind, selection["seed"], report)
    artifact.save(output, trained)
    terminal().print(card_as_table(trained))
    echo(f"{output}: {trained.card.id} {trained.version}")


@model.command
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option(
    "--base",
    default=artifact.DEFAULT_MODEL,
    type=click.Path(path_type=Path),
    help="The model to adapt; the one in the package when not given.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, such as anna.npz.",
)
@click.option("--id", "model_id", help="Its name; that of the base and `-adapted` when not given.")
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
    with _progress() as report:
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
            echo("it is not better for these recordings: keep the base", err=True)
    echo(f"{output}: {adapted.card.id} {adapted.version}, adapted from {parent.card.id}")


@model.command
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option(
    "--model",
    "path",
    default=artifact.DEFAULT_MODEL,
    type=click.Path(path_type=Path),
    help="Model to judge, a file or a name; the default model of the package when left out.",
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
    with _progress() as report:
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


@model.command
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
    with _progress() as report:
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


@model.command
@click.argument("path", default=artifact.DEFAULT_MODEL, type=click.Path(path_type=Path))
def show(path: Path) -> None:
    """Show the card of the default model of the package, or of the model at PATH."""
    terminal().print(card_as_table(artifact.load(path)))
