"""TLS contexts that read a renewed certificate with the next connection."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Times = tuple[int, ...]


class RenewingContext(ssl.SSLContext):
    """An SSL context whose own certificate is read again when its files have changed.

    Connections that are open keep the certificate with which they began. While the new files cannot
    be used, as between the writing of a certificate and of its key, the old certificate stays.
    """

    _load: Callable[[ssl.SSLContext], None]
    _files: tuple[Path, ...] = ()
    _read_ns: Times = ()

    def use_certificate(
        self, certificate: Path, key: Path | None, read_password: Callable[[], str | None]
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

        self._load = load
        self._files = (certificate, key) if key else (certificate,)
        self._read_ns = self._times()
        load(self)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Begin a connection, with the certificate that is in the files now."""
        self._renew()
        return super().wrap_bio(*args, **kwargs)

    def _renew(self) -> None:
        times = self._times()
        if times == self._read_ns:
            return
        try:
            # A context that has loaded half of a pair could not serve with the old one either.
            self._load(ssl.SSLContext(self.protocol))
            self._load(self)
        except (OSError, ValueError) as error:
            log.warning(
                "a renewed certificate cannot be used, so the old one stays in use",
                files=[str(path) for path in self._files],
                error=str(error),
            )
            return
        self._read_ns = times
        log.info("a renewed certificate is in use", file=str(self._files[0]))

    def _times(self) -> Times:
        try:
            return tuple(path.stat().st_mtime_ns for path in self._files)
        except OSError:
            return self._read_ns
