"""Shows settings: as a TOML file, with the source of each value, and as a table for the documents.

``python -m streamer.settings.views`` prints the table of `docs/configuration.md`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from streamer.settings.catalogue import Settings
from streamer.settings.gateway import GatewaySettings
from streamer.settings.sources import find_places, read_sources


def origins(flags: Mapping[str, Any] | None = None, config: Path | None = None) -> dict[str, str]:
    """Name the place of each setting's value: a flag, a variable, a file, or the default.

    Raises:
        SettingsError: as `Settings.load`.
    """
    found = find_places(read_sources(Settings, flags or {}, config))
    return {name: found.get(name, "default") for name in Settings.model_fields}


def as_toml(settings: Settings) -> str:
    """Return a file that `Settings.load` reads; values that cannot be in it are comments."""
    lines = []
    for name, value in settings:
        match value:
            case None:
                lines.append(f"# {name} is not set")
            case SecretStr():
                lines.append(f"# {name} is set, and not shown")
            case dict():
                pairs = (f"{key} = {json.dumps(option)}" for key, option in value.items())
                lines.append(f"{name} = {{ {', '.join(pairs)} }}" if value else f"{name} = {{}}")
            case bool() | int() | float():
                lines.append(f"{name} = {json.dumps(value)}")
            case _:
                # TOML's strings are those of JSON, but for this one control character.
                quoted = json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
                lines.append(f"{name} = {quoted}")
    return "\n".join(lines) + "\n"


def documentation() -> str:
    """Return every setting as a Markdown table, for `docs/configuration.md`."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in GatewaySettings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(f"| `{name}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(documentation(), end="")
