"""Defines the option that names the registry of model versions."""

from collections.abc import Callable
from typing import Any

import click

from streamer.model.registry import Registry

Command = Callable[..., Any]


def _open(_: click.Context, __: click.Parameter, location: str) -> Registry:
    return Registry.open(location)


def registry_option(command: Command) -> Command:
    """Add ``--registry``: the command gets the open registry as ``registry``."""
    return click.option(
        "--registry",
        required=True,
        callback=_open,
        metavar="FOLDER|s3://BUCKET/PREFIX",
        help="The registry of model versions, a folder or a prefix of a bucket.",
    )(command)
