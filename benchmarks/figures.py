"""Prints the figures of a benchmark: a JSON line for each figure, and a table."""

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
    """Print a table of figures to stderr; its title is what all of them have in common."""
    names = list(dict.fromkeys(name for figure in figures for name in figure))
    values = {name: {str(figure.get(name)) for figure in figures} for name in names}
    common = [name for name in names if len(figures) > 1 and len(values[name]) == 1]
    columns = [name for name in names if name not in common]
    table = Table(
        *(name.replace("_", " ") for name in columns),
        title=", ".join(f"{name.replace('_', ' ')} {_cell(figures[0][name])}" for name in common),
    )
    for figure in figures:
        table.add_row(*(_cell(figure.get(name, "")) for name in columns))
    Console(stderr=True).print(table)


def _cell(value: object) -> str:
    return f"{value:,}" if type(value) in (int, float) else str(value)
