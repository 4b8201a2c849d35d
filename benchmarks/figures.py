"""How a benchmark says what it has measured: a JSON line for each figure, and a table to read."""

import json
from collections.abc import Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table

Figure = Mapping[str, object]


def report(figures: Sequence[Figure]) -> None:
    """Print figures, each as a JSON line to stdout, all of them as a table to stderr."""
    for figure in figures:
        click.echo(json.dumps(figure))
    show(figures)


def show(figures: Sequence[Figure]) -> None:
    """Print a table of figures to stderr; what some of them do not have stays empty there."""
    names = list(dict.fromkeys(name for figure in figures for name in figure))
    table = Table(*(name.replace("_", " ") for name in names))
    for figure in figures:
        table.add_row(*(_cell(figure.get(name, "")) for name in names))
    Console(stderr=True).print(table)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)
