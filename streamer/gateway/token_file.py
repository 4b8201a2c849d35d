"""Tokens of the gateway as lines of a file: who, scope, hash.

A token has 256 random bits, so its SHA-256 can be kept: nobody finds the token by trying.
"""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from streamer.contracts.readings import LONGEST_DEVICE_ID
from streamer.errors import SettingsError

_PREFIX: Final = "st_"
_FIELDS: Final = 3
_HASH_DIGITS: Final = 64


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: writing and reading as one device, or as a fleet of devices.

    Attributes:
        who: the holder, for log lines.
        device_id: the only device; None for a fleet.
        prefix: with which the ids of the fleet's devices begin; empty for all devices.
    """

    who: str
    device_id: str | None = None
    prefix: str = ""

    def covers(self, device_id: str) -> bool:
        """Return whether the token is good for this device."""
        if self.device_id is not None:
            return device_id == self.device_id
        return device_id.startswith(self.prefix)

    @property
    def is_everything(self) -> bool:
        """Return whether the token is good for all devices."""
        return self.device_id is None and not self.prefix

    @property
    def scope(self) -> str:
        """Return the scope as it is written in the file."""
        if self.device_id is not None:
            return f"device:{quote(self.device_id, safe='')}"
        return f"fleet:{quote(self.prefix, safe='')}*"


def hash_token(token: str) -> str:
    """Return the hash under which a token is kept, 64 hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def make_token(grant: Grant) -> tuple[str, str]:
    """Return a new token, and its line for the file."""
    token = _PREFIX + secrets.token_urlsafe(32)
    return token, f"{quote(grant.who, safe='')} {grant.scope} {hash_token(token)}"


def read_tokens(path: Path) -> dict[str, Grant]:
    """Return the grants by the hash of their token, from a file or from all files of a directory.

    Files whose names begin with a point are left out: Kubernetes keeps its own there.

    Raises:
        SettingsError: a file cannot be read, or a line is not a token's.
    """
    grants: dict[str, Grant] = {}
    try:
        for file in list_token_files(path):
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                text = line.strip()
                if text and not text.startswith("#"):
                    hashed, grant = _read_line(text, f"gateway_tokens: {file}, line {number}")
                    grants[hashed] = grant
    except OSError as error:
        raise SettingsError(
            f"gateway_tokens: cannot read {error.filename}: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"gateway_tokens: a file in {path} is not UTF-8") from None
    return grants


def list_token_files(path: Path) -> list[Path]:
    """Return the files that hold tokens.

    Raises:
        OSError: the directory cannot be listed.
    """
    if not path.is_dir():
        return [path]
    return sorted(
        each for each in path.iterdir() if not each.name.startswith(".") and each.is_file()
    )


def _read_line(line: str, where: str) -> tuple[str, Grant]:
    fields = line.split()
    if len(fields) != _FIELDS:
        raise SettingsError(
            f"{where}: there are {len(fields)} fields, not 3: who, scope, hash; `streamer gateway"
            " token` prints such a line"
        )
    who, scope, hashed = fields
    if len(hashed) != _HASH_DIGITS or not set(hashed) <= set("0123456789abcdef"):
        raise SettingsError(
            f"{where}: the hash should have {_HASH_DIGITS} hexadecimal digits; is it a token?"
        )
    kind, _, name = scope.partition(":")
    if kind == "device" and 0 < len(unquote(name).encode()) <= LONGEST_DEVICE_ID:
        return hashed, Grant(unquote(who), device_id=unquote(name))
    if kind == "fleet" and name.endswith("*"):
        return hashed, Grant(unquote(who), prefix=unquote(name[:-1]))
    raise SettingsError(
        f"{where}: the scope {scope!r:.80} is neither device:ID nor fleet:PREFIX* nor fleet:*"
    )
