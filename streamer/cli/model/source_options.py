"""Defines the options that select the recordings and windows to learn from or to judge by."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from streamer.cli.profile_option import find_layout, print_note, profile_option
from streamer.features import GRAVITY_FRAME, GRAVITY_FRAME_ACC, UCI_HAR
from streamer.profiles.profile import FileLayout
from streamer.training.training_windows import TrainingSource

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


def source_options(command: Command, required: bool = True) -> Command:
    """Add the options that select sources and windows.

    The command is called with the keyword arguments ``sources`` and ``selection``. Unless sources
    are required, there may be none.
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
        if required and not sources:
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
