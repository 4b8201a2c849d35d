"""Turns the settings of the connection into what aiokafka's clients need for TLS and the login."""

import asyncio
import ssl
import time
from typing import Any, Final

import aiohttp
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed

from streamer.errors import SettingsError
from streamer.settings.connection import Connection, read_secret, read_secret_file
from streamer.tls import RenewingContext, client_context

_ANSWER_S: Final = 10.0
_RENEW_AT: Final = 0.8
"""Share of its life after which a token is replaced."""

_REFUSED: Final = {400, 401, 403}


def security_options(settings: Connection) -> dict[str, Any]:
    """Return TLS and login as keyword arguments of aiokafka's clients.

    Files with passwords are read now, so clients that are made later use a changed password.

    Raises:
        SettingsError: a file cannot be read or used, or a package is missing.
    """
    options: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if not settings.security_protocol.startswith("SASL"):
        return options
    match settings.sasl_mechanism:
        case "OAUTHBEARER":
            provider: AbstractTokenProvider = (
                FileToken(settings) if settings.oauth_token_file else ClientCredentials(settings)
            )
            return options | _token_login(provider)
        case "AWS_MSK_IAM":
            return options | _token_login(AwsToken(settings))
        case mechanism:
            return options | {
                "sasl_mechanism": mechanism,
                "sasl_plain_username": settings.sasl_username,
                "sasl_plain_password": read_secret(settings, "sasl_password"),
            }


def _token_login(provider: AbstractTokenProvider) -> dict[str, Any]:
    return {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": provider}


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]
    """Tokens of an OpenID provider, for the client credentials of the settings (RFC 6749, 4.4)."""

    def __init__(self, settings: Connection) -> None:
        self._settings = settings
        self._token = ""
        self._renew_s = 0.0
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """Return a token; one that has most of its life before it is used again.

        Raises:
            SaslAuthenticationFailed: the provider refuses the credentials.
            KafkaConnectionError: the provider does not answer, or answers with something else.
        """
        async with self._asking:
            if time.monotonic() >= self._renew_s:
                self._token, lasts_s = await self._ask()
                self._renew_s = time.monotonic() + _RENEW_AT * lasts_s
            return self._token

    async def _ask(self) -> tuple[str, float]:
        url, client = self._settings.oauth_token_url, self._settings.oauth_client_id
        assert url
        assert client
        secret = read_secret(self._settings, "oauth_client_secret") or ""
        form = {"grant_type": "client_credentials"}
        if self._settings.oauth_scope:
            form["scope"] = self._settings.oauth_scope
        headers = {"Authorization": aiohttp.encode_basic_auth(client, secret)}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_ANSWER_S)) as session,
                session.post(url, data=form, headers=headers) as response,
            ):
                if response.status in _REFUSED:
                    raise SaslAuthenticationFailed(
                        f"{url} gives no token to {client}: status {response.status}; check"
                        " oauth_client_id, oauth_client_secret and oauth_scope"
                    )
                response.raise_for_status()
                answer = await response.json()
                return str(answer["access_token"]), float(answer.get("expires_in", 60))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise KafkaConnectionError(
                f"{url} (oauth_token_url) gives no token: {error!r}"
            ) from None


class FileToken(AbstractTokenProvider):  # type: ignore[misc]
    """The token in a file, read again for every login."""

    def __init__(self, settings: Connection) -> None:
        self._settings = settings

    async def token(self) -> str:
        """Return what is in the file.

        Raises:
            SaslAuthenticationFailed: the file cannot be read, or is empty.
        """
        path = self._settings.oauth_token_file
        assert path
        try:
            return read_secret_file(path, "oauth_token_file")
        except SettingsError as error:
            raise SaslAuthenticationFailed(str(error)) from None


class AwsToken(AbstractTokenProvider):  # type: ignore[misc]
    """Tokens signed with the AWS credentials of this process, for Amazon MSK."""

    def __init__(self, settings: Connection) -> None:
        try:
            from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # noqa: PLC0415 - an extra
        except ImportError:
            raise SettingsError(
                "sasl_mechanism = AWS_MSK_IAM needs a package: pip install 'streamer[msk]'"
            ) from None
        self._signer = MSKAuthTokenProvider
        self._region = settings.msk_region

    async def token(self) -> str:
        """Return a new token; signing one asks nobody.

        Raises:
            SaslAuthenticationFailed: there are no AWS credentials.
        """
        try:
            # Credentials may come from a file or from the metadata service of the machine.
            token, _ = await asyncio.to_thread(self._signer.generate_auth_token, self._region)
        except Exception as error:  # noqa: BLE001 - whatever botocore raises, there is no token
            raise SaslAuthenticationFailed(f"no token for Amazon MSK: {error}") from None
        return str(token)


def _ssl_context(settings: Connection) -> ssl.SSLContext:
    context = client_context(settings.ssl_cafile, "ssl_cafile")
    if settings.ssl_certfile:
        _use_certificate(context, settings)
    return context


def _use_certificate(context: RenewingContext, settings: Connection) -> None:
    assert settings.ssl_certfile
    read_secret(settings, "ssl_password")  # Reports a missing file by the name of its setting.
    try:
        context.use_certificate(
            settings.ssl_certfile,
            settings.ssl_keyfile,
            lambda: read_secret(settings, "ssl_password"),
        )
    except (OSError, ValueError) as error:
        files = " and ".join(
            str(path) for path in (settings.ssl_certfile, settings.ssl_keyfile) if path
        )
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"ssl_certfile: cannot use {' and '.join(files)}: {reason}; they should hold a "
            "certificate and its private key in PEM format; an encrypted key needs ssl_password "
            "or ssl_password_file"
        ) from None
