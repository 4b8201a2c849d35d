"""`streamer amazon-ml` creates, judges and uses models in Amazon ML, from data to labels."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
from rich.table import Table

from streamer.cli.options import settings_options
from streamer.cli.progress import show_progress
from streamer.datasets.feature_sources import read_feature_table
from streamer.datasets.feature_table import InvalidRecords
from streamer.datasets.progress import ReportProgress
from streamer.errors import SettingsError
from streamer.reports import amazon_ml_report
from streamer.reports.confusion_tables import confusion_as_table, scores_as_table
from streamer.settings import Settings
from streamer.terminal import echo, terminal
from streamer.tools.amazon_ml_data import upload_parts
from streamer.tools.amazon_ml_life_cycle import DataLocation, LifeCycle, ModelType
from streamer.tools.amazon_ml_service import AmazonMLService, open_service


@click.group
def amazon_ml() -> None:
    """Train, judge and use a model in Amazon ML, or in `streamer endpoint`.

    Region, credentials and addresses come from the AWS SDK: AWS_ENDPOINT_URL_MACHINE_LEARNING is
    the address of `streamer endpoint`, and AWS_ENDPOINT_URL_S3 that of an S3 that is not AWS.

    The ids of all data sources, evaluations and batch predictions follow from NAME. A command that
    was interrupted goes on when it is repeated.
    """


def _name(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("name")(command)


@contextmanager
def _open(name: str) -> Iterator[tuple[LifeCycle, ReportProgress]]:
    try:
        with open_service() as service, show_progress() as report:
            yield LifeCycle(service, name, report), report
    except KeyboardInterrupt:
        echo("interrupted; repeat the command to go on, or `streamer amazon-ml delete`", err=True)
        raise


@amazon_ml.command(short_help="Create data sources and train a model.")
@_name
@click.option(
    "--source",
    type=click.Path(exists=True, path_type=Path),
    help="Data set, recordings or converted CSV files on this machine, as for `streamer dataset "
    "convert`. They are split by people and written to the folder --bucket.",
)
@click.option("--bucket", metavar="S3://...", help="Folder in S3 for the records of --source.")
@click.option("--data", metavar="S3://...", help="CSV file in S3, or a folder with / at its end.")
@click.option("--schema", metavar="S3://...", help="Schema of --data. Default: --data.schema.")
@click.option(
    "--share",
    type=click.IntRange(1, 99),
    default=70,
    show_default=True,
    help="Percent of the records to train with; the others are for the evaluation.",
)
@click.option(
    "--random-seed",
    help="With --data: choose records at random, by this text. Default: the first ones.",
)
@click.option(
    "--type",
    "model_type",
    type=click.Choice(get_args(ModelType)),
    default="MULTICLASS",
    show_default=True,
)
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Parameter of the training, such as sgd.maxPasses=20.",
)
@click.option(
    "--recipe",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with a recipe. Default: that of the service.",
)
def create(
    name: str,
    source: Path | None,
    bucket: str | None,
    data: str | None,
    schema: str | None,
    share: int,
    random_seed: str | None,
    model_type: ModelType,
    parameters: tuple[str, ...],
    recipe: Path | None,
) -> None:
    """Create two data sources and train the model NAME.

    Name the records with --source and --bucket, or with --data. If a step fails, what was created
    is deleted again.
    """
    with _open(name) as (life, report):
        if source and bucket and not data:
            table = read_feature_table(source, InvalidRecords(report=_complain), note=_complain)
            training, evaluation = upload_parts(table, share / 100, bucket, report)
        elif data and not source and not bucket:
            schema = schema or f"{data}.schema"
            training, evaluation = (
                DataLocation(data, schema, _rearrange(share, random_seed, complement))
                for complement in (False, True)
            )
        else:
            raise SettingsError("name the records with --source and --bucket, or with --data")
        life.create(
            training,
            evaluation,
            model_type,
            dict(_read_parameter(text) for text in parameters),
            recipe.read_text(encoding="utf-8") if recipe else None,
        )
    echo(f"{name} is trained; `streamer amazon-ml evaluate {name}` judges it")


@amazon_ml.command(short_help="Judge a model by the records it has not learned from.")
@_name
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a page with the confusion matrix to this file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings_options("endpoint_labels")
def evaluate(settings: Settings, name: str, report: Path | None, as_json: bool) -> None:
    """Evaluate the model NAME, and show what it confuses.

    The service computes the average F1 (or the AUC, or the RMSE). The confusion matrix is that of a
    batch prediction of the same records, whose results stay beside them in S3.
    """
    with _open(name) as (life, _):
        found = life.evaluate()
    confusion = (
        amazon_ml_report.count_confusion(found.results.pairs, settings.activities)
        if found.results.pairs
        else None
    )
    if as_json:
        figures = amazon_ml_report.evaluation_as_json(name, found.figure, found.value, confusion)
        echo(msgspec.json.encode(figures))
    else:
        echo(f"{found.figure}: {found.value:.4f}")
        if confusion is not None:
            terminal().print(scores_as_table(confusion), "", confusion_as_table(confusion))
    unknown = {true for true, _ in found.results.pairs} - set(found.results.labels)
    if unknown:
        _complain(
            f"the training data have no record of {', '.join(sorted(unknown))}, so the model never "
            "answers it; choose the records with --random-seed, or split them by people"
        )
    if report is not None:
        if confusion is None:
            raise SettingsError(f"{name} has no classes, so there is no confusion matrix to draw")
        amazon_ml_report.write_evaluation_page(report, name, found.figure, found.value, confusion)
        echo(f"{report}: written", err=True)


@amazon_ml.command(short_help="Create the real-time endpoint of a model.")
@_name
@click.option(
    "--at-least",
    type=click.FloatRange(0, 1),
    help="Only if the F1 or AUC of the evaluation is at least this.",
)
def promote(name: str, at_least: float | None) -> None:
    """Create the real-time endpoint of the model NAME, and wait until it is ready."""
    with _open(name) as (life, _):
        address = life.promote(at_least)
    echo(f"{name} answers at {address}")
    echo(f"use it: streamer run --predictor amazon-ml --endpoint {name}")


@amazon_ml.command("predict-batch", short_help="Predict records in S3.")
@_name
@click.option(
    "--data",
    required=True,
    metavar="S3://...",
    help="CSV file in S3, or a folder with / at its end.",
)
@click.option("--schema", metavar="S3://...", help="Schema of --data. Default: --data.schema.")
@click.option("--output", required=True, metavar="S3://...", help="Folder for the results.")
@settings_options("endpoint_labels")
def predict_batch(
    settings: Settings, name: str, data: str, schema: str | None, output: str
) -> None:
    """Predict records in S3 with the model NAME, and check that the results are complete."""
    with _open(name) as (life, _):
        results = life.predict_batch(DataLocation(data, schema or f"{data}.schema"), output)
    for file in results.files:
        echo(file)
    invalid = f", {results.invalid} invalid records left out" if results.invalid else ""
    echo(f"{results.records} records{invalid}", err=True)
    for label, count in sorted(results.answers.items()):
        echo(f"{settings.activities.get(label, label)}: {count}", err=True)


@amazon_ml.command("list", short_help="List the models.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a model a line.")
def list_models(as_json: bool) -> None:
    """List the models with their status, evaluation and endpoint."""
    with open_service() as service:
        models = list(_describe_models(service))
    if as_json:
        for model in models:
            echo(msgspec.json.encode(model))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "type", "status", "evaluation", "endpoint", "created"):
        table.add_column(heading)
    for model in models:
        table.add_row(*(str(value) for value in model.values()))
    terminal().print(table)


@amazon_ml.command(short_help="Delete a model and what belongs to it.")
@_name
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete the endpoint, predictions, evaluations and data sources of the model NAME, and it.

    Objects in S3 stay. A delete that was interrupted goes on when it is repeated.
    """
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete the model {name} and all that belongs to it?", abort=True)
    with _open(name) as (life, _):
        deleted = life.delete()
    for each in deleted or [f"there is nothing of {name}"]:
        echo(each)


def _describe_models(service: AmazonMLService) -> Iterator[dict[str, Any]]:
    figures: dict[str, str] = {}
    for evaluation in service.list("Evaluation"):
        properties = evaluation.get("PerformanceMetrics", {}).get("Properties", {})
        for figure, value in properties.items():
            figures[evaluation["MLModelId"]] = f"{figure} {float(value):.4f}"
    for model in service.list("MLModel"):
        yield {
            "model": model["MLModelId"],
            "type": model.get("MLModelType", ""),
            "status": model["Status"],
            "evaluation": figures.get(model["MLModelId"], ""),
            "endpoint": model.get("EndpointInfo", {}).get("EndpointStatus", "NONE"),
            "created": f"{model['CreatedAt']:%Y-%m-%d %H:%M}" if "CreatedAt" in model else "",
        }


def _rearrange(share: int, random_seed: str | None, complement: bool) -> str:
    splitting: dict[str, Any] = {"percentBegin": 0, "percentEnd": share, "complement": complement}
    if random_seed is not None:
        splitting |= {"strategy": "random", "randomSeed": random_seed}
    return msgspec.json.encode({"splitting": splitting}).decode()


def _read_parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"--parameter {text}: write NAME=VALUE, such as sgd.maxPasses=20")
    return name, value


def _complain(message: str) -> None:
    echo(message, err=True)
