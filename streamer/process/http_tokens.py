"""The tokens with which the HTTP port of a worker shows its pages."""

import hmac
from pathlib import Path

import structlog

from streamer.errors import SettingsError
from streamer.settings.connection import read_secret_file

log = structlog.get_logger(__name__)

_SCHEME = "Bearer "


class HttpTokens:
    """Tokens in a file, one a line, read again when the file has changed.

    While a changed file cannot be read, the tokens before it stay good.

    Args:
        path: the file; None if there are no tokens, which lets everyone in.

    Raises:
        SettingsError: the file cannot be read, or is empty.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen = self._look()
        self._tokens = self._read()

    def allow(self, authorization: str | None) -> bool:
        """Return whether a request with this header may see everything."""
        if self._path is None:
            return True
        self._renew()
        if authorization is None or not authorization.startswith(_SCHEME):
            return False
        # Bytes of a header that are not UTF-8 come as surrogates.
        given = authorization.removeprefix(_SCHEME).encode("utf-8", "surrogatepass")
        return any(hmac.compare_digest(given, token) for token in self._tokens)

    def header(self) -> dict[str, str]:
        """Return the header with which our own requests may see everything."""
        self._renew()
        return {"Authorization": _SCHEME + self._tokens[0].decode()} if self._tokens else {}

    def _renew(self) -> None:
        if (found := self._look()) == self._seen:
            return
        self._seen = found
        try:
            self._tokens = self._read()
        except SettingsError as error:
            log.warning(
                "the file of tokens has changed and cannot be used, so the old tokens stay good: "
                "mend it",
                error=str(error),
            )

    def _look(self) -> tuple[int, int] | None:
        """Return inode and time of the file; they change with its content."""
        try:
            stat = self._path.stat() if self._path else None
        except OSError:
            return None
        return stat and (stat.st_ino, stat.st_mtime_ns)

    def _read(self) -> list[bytes]:
        if self._path is None:
            return []
        return [line.encode() for line in read_secret_file(self._path, "http_token_file").split()]
