"""The certificate of the gateway."""

import ssl

from streamer.errors import SettingsError
from streamer.settings import GatewaySettings
from streamer.tls import RenewingContext


def server_context(settings: GatewaySettings) -> ssl.SSLContext | None:
    """Return the TLS context of the settings, which follows renewed files; None without TLS.

    Raises:
        SettingsError: the certificate or its key cannot be used.
    """
    chain = settings.gateway_certificate
    if chain is None:
        return None
    context = RenewingContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.use_certificate(chain, settings.gateway_private_key)
    except OSError as error:
        raise SettingsError(
            f"gateway_certificate: cannot use {chain}: {error}; "
            "they should be a certificate chain and its private key, in PEM format"
        ) from None
    return context
