"""Who may write and read for which device."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from streamer.errors import SettingsError
from streamer.gateway.token_file import Grant, hash_token, list_token_files, read_tokens

log = structlog.get_logger(__name__)

_LOOK_S: Final = 2.0
"""Time between two looks at the files of tokens."""

EVERYONE: Final = Grant("everyone")
"""The grant of all clients where no tokens are used."""


class Unauthorised(Exception):  # noqa: N818 - it is an answer
    """There is no token, or it is not known."""


class Forbidden(Exception):  # noqa: N818 - it is an answer
    """The token is not good for this device."""


class Access:
    """Knows the tokens, and follows their file when it changes.

    Args:
        tokens: file or directory of tokens; None if none are used, which lets everyone in.

    Raises:
        SettingsError: a file cannot be read, or a line is not a token's.
    """

    def __init__(self, tokens: Path | None) -> None:
        self._path = tokens
        self._seen = _look_at(tokens)
        self._grants = read_tokens(tokens) if tokens else {}

    def check(self, token: str | None, device_id: str | None) -> Grant:
        """Return what a token allows.

        Args:
            token: as the client has sent it.
            device_id: the device that is written or read; None if the request names none.

        Raises:
            Unauthorised: the client has sent no token, or one that is not known.
            Forbidden: the token is not good for this device.
        """
        if self._path is None:
            return EVERYONE
        if token is None:
            raise Unauthorised("send a token: `Authorization: Bearer <token>`")
        grant = self._grants.get(hash_token(token))
        if grant is None:
            raise Unauthorised("the token is not known; it may have been withdrawn")
        if device_id is not None and not grant.covers(device_id):
            raise Forbidden(f"the token is not good for the device {device_id!r:.80}")
        return grant

    def is_valid(self, token: str | None, grant: Grant) -> bool:
        """Return whether a token still has the grant that it had when it was checked."""
        if self._path is None:
            return True
        return token is not None and self._grants.get(hash_token(token)) == grant

    async def follow(self) -> None:
        """Read the tokens again whenever their file changes, without end.

        A file that cannot be used changes nothing: the tokens before it stay good.
        """
        while self._path is not None:
            await asyncio.sleep(_LOOK_S)
            self.reload()

    def reload(self) -> None:
        """Read the tokens again if their file has changed."""
        assert self._path is not None
        found = _look_at(self._path)
        if found == self._seen:
            return
        self._seen = found
        try:
            self._grants = read_tokens(self._path)
        except SettingsError as error:
            log.error("kept the tokens as they were: their file cannot be used", error=str(error))
        else:
            log.info("read the tokens again, because their file has changed")


def _look_at(path: Path | None) -> list[tuple[str, int, int, int]]:
    """Return name, inode, size and time of each file of tokens; they change with its content."""
    found = []
    with suppress(OSError):
        for file in list_token_files(path) if path else ():
            stat = file.stat()
            found.append((file.name, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return found
