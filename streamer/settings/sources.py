"""Reads the values of settings from flags, environment and file, and describes wrong values."""

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, EnvSettingsSource

from streamer.errors import SettingsError
from streamer.settings.service_links import is_service_link

ENV_PREFIX = "STREAMER_"
CONFIG_VARIABLE = f"{ENV_PREFIX}CONFIG"

# Variables with our prefix that are not settings of the worker.
_OTHER_VARIABLES = {
    "streamer_config",
    "streamer_har_dir",
    "streamer_devices_dir",
    "streamer_cache_dir",
    "streamer_chromium",
}


@dataclass(frozen=True, slots=True)
class SettingSource:
    """The values that one place gives, and how a message names the place."""

    values: list[tuple[str, Any]]
    """Names of settings and their values, not checked yet."""
    describe: Callable[[str], str]
    """Names the place of a setting, such as `environment STREAMER_MODEL`."""
    complaints: Sequence[str] = ()
    """A line for each name that is not a setting."""


def read_sources(
    model: type[BaseSettings], flags: Mapping[str, Any], config: Path | None
) -> list[SettingSource]:
    """Read flags, environment and file, in the order in which they win.

    Raises:
        SettingsError: the file cannot be read.
    """
    path = config or (Path(name) if (name := os.environ.get(CONFIG_VARIABLE)) else None)
    file = _read_file(path) if path else {}
    return [
        SettingSource(list(flags.items()), lambda name: f"flag --{name.replace('_', '-')}"),
        _read_environment(model),
        SettingSource(
            [(name, value) for name, value in file.items() if name in model.model_fields],
            lambda _: f"file {path}",
            _find_unknown({name: name for name in file}, _known_names(model), f"file {path}", file),
        ),
    ]


def _read_environment(model: type[BaseSettings]) -> SettingSource:
    links = {name for name, value in os.environ.items() if is_service_link(name, value)}
    variables = {
        name.lower(): name
        for name in os.environ
        if name.upper().startswith(ENV_PREFIX) and name not in links
    }
    known = {f"{ENV_PREFIX}{name}".lower() for name in _known_names(model)} | _OTHER_VARIABLES
    return SettingSource(
        [
            (name, value)
            for name, value in EnvSettingsSource(model)().items()
            if f"{ENV_PREFIX}{name.upper()}" not in links
        ],
        lambda name: f"environment {ENV_PREFIX}{name.upper()}",
        _find_unknown(variables, known, "environment"),
    )


def _known_names(model: type[BaseSettings]) -> set[str]:
    """Return the settings of a model and of those that extend it: one file serves all programs."""
    return set(model.model_fields).union(*(_known_names(each) for each in model.__subclasses__()))


def find_places(sources: list[SettingSource]) -> dict[str, str]:
    """Name the place of each setting's value; settings with their default are left out."""
    return {
        name: source.describe(name) for source in reversed(sources) for name, _ in source.values
    }


def raw_value(
    model: type[BaseSettings], setting: str, flags: Mapping[str, Any], config: Path | None
) -> Any:
    """Return the value of one setting, unchecked, when loading all of them has failed.

    None when no place gives it, or when the file cannot be read.
    """
    try:
        sources = read_sources(model, flags, config)
    except SettingsError:
        sources = [SettingSource(list(flags.items()), str), _read_environment(model)]
    found = [value for source in sources for name, value in source.values if name == setting]
    return found[0] if found else None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from None


def _find_unknown(
    found: Mapping[str, str], known: set[str], where: str, values: Mapping[str, Any] | None = None
) -> list[str]:
    """Return an error message for each unknown name: a misspelt setting must not be ignored."""
    lines = []
    for name, as_written in found.items():
        if name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        spelt = close[0].upper() if close and as_written.isupper() else "".join(close)
        if isinstance((values or {}).get(name), dict):
            lines.append(
                f"{where}: there is no table [{as_written}]; settings are written without a table, "
                "at the beginning of the file"
            )
            continue
        hint = f"did you mean {spelt}?" if close else "`streamer config show` lists all settings"
        lines.append(f"{where}: there is no setting {as_written}; {hint}")
    return lines


def contradiction(message: str, *settings: str) -> PydanticCustomError:
    """Make an error about several settings together, which names them."""
    return PydanticCustomError("contradiction", "{message}", {"message": message, "of": settings})


def complaint(model: type[BaseSettings], problem: ErrorDetails, where: Mapping[str, str]) -> str:
    """Write one line about a wrong value: which setting, where it is, what it should be."""
    message = problem["msg"]
    if problem["type"] == "contradiction":
        names = problem["ctx"]["of"]
        places = [f"{name} ({where.get(name, 'default')})" for name in names]
        return f"{', '.join(places)}: {message}"
    name = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, model.model_fields, n=1)
        return f"there is no setting {name}" + (f"; did you mean {close[0]}?" if close else "")
    described = model.model_fields[name].description or ""
    if problem["type"] == "string_pattern_mismatch" and described.startswith("`"):
        # The description lists the values, and the pattern is for programs.
        message = f"should be {described.rstrip('.')}"
    for kind in ("Value error, ", "Input ", "String "):
        message = message.removeprefix(kind)
    given = "" if "password" in name else f", not {problem['input']!r}"
    return f"{name} ({where[name]}): {message}{given}"
