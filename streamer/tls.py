"""TLS contexts: they check servers, and read a renewed certificate with the next connection."""

import _ssl
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from streamer.errors import SettingsError, StreamerError

log = structlog.get_logger(__name__)

FileStates = list[tuple[int, int, int]]

EXPIRES_S: Final[dict[Path, float]] = {}
"""When the certificates that this process uses expire, in seconds since 1970, by their files."""


class RenewingContext(ssl.SSLContext):
    """An SSL context whose own certificate is read again when its files have changed.

    Connections that are open keep the certificate with which they began. While the new files cannot
    be used, as between the writing of a certificate and of its key, the old certificate stays.
    """

    _load: Callable[[ssl.SSLContext], None]
    _files: tuple[Path, ...] = ()
    _seen: FileStates

    def use_certificate(
        self,
        certificate: Path,
        key: Path | None,
        read_password: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Load a certificate chain and its private key (PEM), and remember where they are.

        Args:
            certificate: file of the chain; with the key, if there is no file of the key.
            key: file of the private key.
            read_password: returns the password of the key; None if it has none.

        Raises:
            OSError: a file cannot be read or used; ssl.SSLError is one of them.
        """

        def load(context: ssl.SSLContext) -> None:
            # OpenSSL asks at the terminal for a password that it is not given.
            context.load_cert_chain(certificate, key, lambda: read_password() or "")
            # The standard library decodes a certificate only here, or after a handshake.
            decoded = _ssl._test_decode_cert(certificate)  # type: ignore[attr-defined]  # noqa: SLF001
            EXPIRES_S[certificate] = ssl.cert_time_to_seconds(decoded["notAfter"])

        self._load = load
        self._files = (certificate, key) if key else (certificate,)
        self._seen = self._look()
        load(self)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Begin a connection, with the certificate that is in the files now."""
        self._renew()
        return super().wrap_bio(*args, **kwargs)

    def _renew(self) -> None:
        """Use the files anew if they have changed and can be used."""
        if not self._files or (found := self._look()) == self._seen:
            return
        self._seen = found
        files = [str(path) for path in self._files]
        try:
            # A context that has loaded half of a pair could not go on with the old one.
            self._load(ssl.SSLContext(self.protocol))
            self._load(self)
        except (OSError, StreamerError) as error:
            log.warning(
                "the files of a certificate have changed and cannot be used, so the old "
                "certificate stays in use: mend them",
                files=files,
                error=str(error),
            )
        else:
            log.info("a renewed certificate is in use", files=files)

    def _look(self) -> FileStates:
        """Return inode, size and time of each file; they change with its content."""
        found = []
        with suppress(OSError):
            for path in self._files:
                stat = path.stat()
                found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return found


def client_context(cafile: Path | None, setting: str) -> RenewingContext:
    """Return a context that checks servers as strictly as Python's default does.

    Args:
        cafile: file of trusted CA certificates (PEM); None for those of the system.
        setting: that names the file, for the error.

    Raises:
        SettingsError: the certificates cannot be read.
    """
    context = RenewingContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    try:
        if cafile:
            context.load_verify_locations(cafile)
        else:
            context.load_default_certs()
    except OSError as error:
        raise SettingsError(
            f"{setting}: cannot read CA certificates from {cafile}: {error.strerror or error}; "
            "it should be a file in PEM format"
        ) from None
    return context


def server_context(
    certificate: Path | None, key: Path | None, setting: str
) -> RenewingContext | None:
    """Return a context of a server, which follows renewed files; None without a certificate.

    Args:
        certificate: file of the chain; with the key, if there is no file of the key.
        key: file of the private key.
        setting: that names the certificate, for the error.

    Raises:
        SettingsError: the certificate or its key cannot be used.
    """
    if certificate is None:
        return None
    context = RenewingContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.use_certificate(certificate, key)
    except OSError as error:
        raise SettingsError(
            f"{setting}: cannot use {certificate}: {error}; "
            "they should be a certificate chain and its private key, in PEM format"
        ) from None
    return context
