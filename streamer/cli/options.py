"""Makes command-line flags of the settings, which define name, type, default and meaning."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from streamer.errors import SettingsError
from streamer.settings import TOPIC_SETTINGS, Settings
from streamer.settings.sources import CONFIG_VARIABLE, raw_value

Command = Callable[..., Any]

TOPICS = ("bootstrap_servers", *TOPIC_SETTINGS, "partitions")
"""Settings of a command that creates or checks the topics."""

TABLES = {"kafka"}
"""Settings that are a table of options, which no flag can give."""


def settings_options(*names: str, model: type[Settings] = Settings) -> Callable[[Command], Command]:
    """Add ``--config`` and a flag for each named setting to a command; without names, for all.

    The command is called with the loaded settings as the keyword argument ``settings``.
    """
    chosen = names or flag_names(model)

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_settings(config: Path | None, **given: Any) -> Any:
            flags = {name: given.pop(name) for name in chosen}
            flags = {name: value for name, value in flags.items() if value is not None}
            return command(settings=_load(model, flags, config), **given)

        wrapped: Command = with_settings
        for name in reversed(chosen):
            wrapped = _flag(name, model.model_fields[name])(wrapped)
        return click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help=f"TOML file with settings; {CONFIG_VARIABLE} can name it too.",
        )(wrapped)

    return decorate


def flag_names(model: type[BaseSettings]) -> tuple[str, ...]:
    """Return the names of the settings that a flag can give."""
    return tuple(name for name in model.model_fields if name not in TABLES)


def _load(model: type[Settings], flags: dict[str, Any], config: Path | None) -> Settings:
    try:
        return model.load(flags, config)
    except SettingsError:
        # The error message has the format that was chosen for log lines.
        if raw_value(model, "log_format", flags, config) == "json":
            from streamer.process import log  # noqa: PLC0415 - no other command needs it

            log.configure_format("json")
        raise


def _flag(name: str, field: FieldInfo) -> Callable[[Command], Command]:
    flag = f"--{name.replace('_', '-')}"
    default = "" if field.default is None else f"  [default: {field.default}]"
    text = (field.description or "").replace("`", "") + default
    if field.annotation is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=text)
    if get_origin(field.annotation) is Literal:
        choices = click.Choice([str(choice) for choice in get_args(field.annotation)])
        return click.option(flag, name, type=choices, help=text)
    # A number is passed on as text: the model checks it, with the same message for all sources.
    return click.option(flag, name, metavar=flag[2:].rsplit("-", 1)[-1].upper(), help=text)
