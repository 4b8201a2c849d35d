"""Defines how times are given on the command line."""

from datetime import UTC, datetime
from typing import Any

import click


class Moment(click.ParamType[float]):
    """A time, as milliseconds since the epoch."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the milliseconds since the epoch; a time without a zone is UTC."""
        if value.isdecimal():
            return float(value)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is neither a time such as 2026-05-17T12:00:00Z nor milliseconds "
                "since the epoch.",
                param,
                ctx,
            )
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
