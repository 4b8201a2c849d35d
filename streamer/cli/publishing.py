"""Defines the options that `replay` and `simulate` share: how readings are published."""

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from streamer.cli.times import Moment
from streamer.contracts.readings import LARGEST_BATCH, Format
from streamer.publishing.sending import Sending

Command = Callable[..., Any]


class _Speed(click.ParamType[float]):
    name = "speed"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            speed = math.inf if value == "max" else float(value)
        except ValueError:
            speed = math.nan
        if not speed > 0:
            self.fail(f"{value!r} is neither a positive number nor 'max'.", param, ctx)
        return speed


def sending_options(command: Command) -> Command:
    """Add the options of publishing: the command gets them as the keyword argument ``sending``."""

    @click.option(
        "--speed",
        type=_Speed(),
        default="1",
        show_default=True,
        metavar="1|N|max",
        help="Speed: 1 is real time, N is N times as fast, max is as fast as the broker accepts.",
    )
    @click.option(
        "--batch",
        type=click.IntRange(1, LARGEST_BATCH),
        default=1,
        show_default=True,
        help="Samples in a record.",
    )
    @click.option(
        "--format",
        "form",
        type=click.Choice([form.value for form in Format]),
        default=Format.JSON.value,
        show_default=True,
        help="Format of a record.",
    )
    @click.option(
        "--start",
        type=Moment(),
        help="Time of the first sample: ISO 8601 (UTC without a zone) or milliseconds since the "
        "epoch.  [default: now at speed 1; at other speeds such that the last sample is taken now, "
        "or a day ago if there is no last sample]",
    )
    @wraps(command)
    def with_sending(speed: float, batch: int, form: str, start: float | None, **given: Any) -> Any:
        return command(sending=Sending(speed, batch, Format(form), start), **given)

    return with_sending
