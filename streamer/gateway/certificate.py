"""The certificate of the gateway, which is read again when it is renewed."""

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import structlog

from streamer.errors import SettingsError
from streamer.settings import GatewaySettings

log = structlog.get_logger(__name__)

_LOOK_S: Final = 2.0
"""Time between two looks at the files of the certificate."""


class Certificate:
    """A certificate and its key, in files.

    Raises:
        SettingsError: they cannot be used.
    """

    def __init__(self, chain: Path, key: Path | None) -> None:
        self._chain, self._key = chain, key
        self._seen = self._look()
        self.context = self._load()

    @classmethod
    def of(cls, settings: GatewaySettings) -> Self | None:
        """Return the certificate of the settings; None if they name none."""
        chain = settings.gateway_certificate
        return cls(chain, settings.gateway_private_key) if chain else None

    async def follow(self) -> None:
        """Use the files anew whenever they change, for new connections; without end."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.reload()

    def reload(self) -> None:
        """Use the files anew if they have changed and can be used."""
        found = self._look()
        if found == self._seen:
            return
        self._seen = found
        try:
            self._load()  # In a context of its own: the one in use must stay usable.
            self.context.load_cert_chain(self._chain, self._key)
        except (SettingsError, OSError) as error:
            log.error("kept the certificate as it was: its files cannot be used", error=str(error))
        else:
            log.info("read the certificate again, because its files have changed")

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self._chain, self._key)
        except OSError as error:
            raise SettingsError(
                f"gateway_certificate: cannot use {self._chain}: {error}; "
                "they should be a certificate chain and its private key, in PEM format"
            ) from None
        return context

    def _look(self) -> list[tuple[int, int, int]]:
        """Return inode, size and time of each file; they change with its content."""
        found = []
        with suppress(OSError):
            for file in filter(None, (self._chain, self._key)):
                stat = file.stat()
                found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return found
