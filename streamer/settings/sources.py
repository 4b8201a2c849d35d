"""Where the values of settings come from, and what is said when one is wrong."""

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

ENV_PREFIX = "STREAMER_"
CONFIG_VARIABLE = f"{ENV_PREFIX}CONFIG"

# Variables with our prefix that are not settings of the worker.
_OTHER_VARIABLES = {
    "streamer_config",
    "streamer_har_dir",
    "streamer_devices_dir",
    "streamer_cache_dir",
}


@dataclass(frozen=True, slots=True)
class Source:
    """The values of one source, and what to call each of them in a message."""

    values: list[tuple[str, Any]]
    naming: Callable[[str], str]
    unknown: Sequence[str] = ()
    """A line for each name in it that is no setting."""


def read_sources(
    model: type[BaseSettings], flags: Mapping[str, Any], config: Path | None
) -> list[Source]:
    """Flags, environment, file: what comes first wins."""
    path = config or (Path(name) if (name := os.environ.get(CONFIG_VARIABLE)) else None)
    variables = {name.lower(): name for name in os.environ if name.upper().startswith(ENV_PREFIX)}
    known = {f"{ENV_PREFIX}{name}".lower() for name in model.model_fields} | _OTHER_VARIABLES
    file = _read(path) if path else {}
    return [
        Source(list(flags.items()), lambda name: f"flag --{name.replace('_', '-')}"),
        Source(
            list(EnvSettingsSource(model)().items()),
            lambda name: f"environment {ENV_PREFIX}{name.upper()}",
            _unknown(variables, known, "environment"),
        ),
        Source(
            [(name, value) for name, value in file.items() if name in model.model_fields],
            lambda _: f"file {path}",
            _unknown({name: name for name in file}, set(model.model_fields), f"file {path}"),
        ),
    ]


def places(sources: list[Source]) -> dict[str, str]:
    """Where each setting's value comes from, of those that are not defaults."""
    return {name: source.naming(name) for source in reversed(sources) for name, _ in source.values}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from None


def _unknown(found: Mapping[str, str], known: set[str], where: str) -> list[str]:
    """Complain of misspelt names: a setting that is silently ignored is worse than an error."""
    lines = []
    for name, as_written in found.items():
        if name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        spelt = close[0].upper() if close and as_written.isupper() else "".join(close)
        hint = f"did you mean {spelt}?" if close else "`streamer config show` lists all settings"
        lines.append(f"{where}: there is no setting {as_written}; {hint}")
    return lines


def contradiction(message: str, *settings: str) -> PydanticCustomError:
    """An error of several settings together; tells which."""
    return PydanticCustomError("contradiction", "{message}", {"message": message, "of": settings})


def complaint(model: type[BaseSettings], problem: ErrorDetails, where: Mapping[str, str]) -> str:
    """One line about what is wrong: which setting, where it stands, what it should be."""
    message = problem["msg"]
    if problem["type"] == "contradiction":
        names = problem["ctx"]["of"]
        places = [f"{name} ({where.get(name, 'default')})" for name in names]
        return f"{', '.join(places)}: {message}"
    name = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, model.model_fields, n=1)
        return f"there is no setting {name}" + (f"; did you mean {close[0]}?" if close else "")
    for kind in ("Value error, ", "Input ", "String "):
        message = message.removeprefix(kind)
    given = "" if "password" in name else f", not {problem['input']!r}"
    return f"{name} ({where[name]}): {message}{given}"
