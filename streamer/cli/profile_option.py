"""Defines the option `--profile`, which says how files of other devices are read."""

from collections.abc import Callable
from typing import Any

import click

from streamer.errors import SettingsError
from streamer.profiles.profile import FileLayout, load_profile
from streamer.terminal import echo

Command = Callable[..., Any]


def load_layout(_: click.Context, __: click.Parameter, name: str | None) -> FileLayout | None:
    """Return the section `files` of the profile with this name or path.

    Raises:
        SettingsError: there is no such profile, or it does not describe files.
    """
    return None if name is None else find_layout(name)


def find_layout(name: str) -> FileLayout:
    """Return the section `files` of the profile with this name or path.

    Raises:
        SettingsError: there is no such profile, or it does not describe files.
    """
    if (layout := load_profile(name).files) is None:
        raise SettingsError(f"profile {name} describes records, not files: it has no [files]")
    return layout


def profile_option(command: Command) -> Command:
    """Add ``--profile``: the command gets the layout of files, or None, as ``layout``."""
    return click.option(
        "--profile",
        "layout",
        callback=load_layout,
        metavar="NAME|FILE",
        help="Profile that describes the files of SOURCE: a name in the package, such as phyphox, "
        "or a .toml file of your own. The layout of the public data set needs none.",
    )(command)


def print_note(text: str) -> None:
    """Print what the user should know about a recording."""
    echo(text, err=True)
