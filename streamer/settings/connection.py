"""The settings of the connection to Kafka: where it is, as whom, and how the line is protected."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from streamer.errors import SettingsError
from streamer.settings.checked_texts import Addresses
from streamer.settings.sources import contradiction

Name = Annotated[str, Field(min_length=1)]

PASSED_ON = {
    "connections_max_idle_ms",
    "metadata_max_age_ms",
    "request_timeout_ms",
}
"""Options that all clients of aiokafka take, and that no setting gives."""

SECRETS = ("ssl_password", "sasl_password", "oauth_client_secret")
"""Settings that may be in a file of their own, which `<name>_file` names."""


def _check_passed_on(options: dict[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(options) - PASSED_ON):
        raise ValueError(
            f"cannot pass on {', '.join(unknown)}; it may hold {', '.join(sorted(PASSED_ON))}"
        )
    return options


class Connection(BaseSettings):
    """How every program of this package reaches Kafka."""

    bootstrap_servers: Addresses = Field(
        "127.0.0.1:9092",
        description="Kafka brokers for the first connection: `host:port`, comma-separated.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Protocol of the connection to the brokers."
    )
    ssl_cafile: Path | None = Field(
        None, description="File of trusted CA certificates (PEM). Default: those of the system."
    )
    ssl_certfile: Path | None = Field(
        None,
        description="File of the client's certificate (PEM), for mutual TLS. A renewed file is read"
        " with the next connection.",
    )
    ssl_keyfile: Path | None = Field(
        None, description="File of the certificate's private key. Default: `ssl_certfile`."
    )
    ssl_password: SecretStr | None = Field(None, description="Password of the private key.")
    ssl_password_file: Path | None = Field(None, description="File with `ssl_password`.")
    sasl_mechanism: Literal[
        "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"
    ] = Field(
        "PLAIN",
        description="SASL mechanism, if the protocol uses SASL. `AWS_MSK_IAM` needs the extra"
        " `streamer[msk]`.",
    )
    sasl_username: Name | None = Field(None, description="SASL user name.")
    sasl_password: SecretStr | None = Field(None, description="SASL password.")
    sasl_password_file: Path | None = Field(
        None,
        description="File with the SASL password, such as a mounted secret. It is read with every"
        " new client.",
    )
    oauth_token_url: Name | None = Field(
        None,
        description="URL at which an OpenID provider gives tokens for client credentials"
        " (`OAUTHBEARER`).",
    )
    oauth_client_id: Name | None = Field(None, description="Client id for `oauth_token_url`.")
    oauth_client_secret: SecretStr | None = Field(
        None, description="Client secret for `oauth_token_url`."
    )
    oauth_client_secret_file: Path | None = Field(
        None, description="File with `oauth_client_secret`. It is read with every new token."
    )
    oauth_scope: Name | None = Field(None, description="Scope that is asked for with a token.")
    oauth_token_file: Path | None = Field(
        None,
        description="File with a token that something else renews (`OAUTHBEARER`), instead of"
        " `oauth_token_url`.",
    )
    msk_region: Name | None = Field(
        None, description="AWS region of the cluster, for `AWS_MSK_IAM`."
    )
    kafka: Annotated[dict[str, int | str], AfterValidator(_check_passed_on)] = Field(
        {},
        description="Table of further options of the Kafka client (aiokafka):"
        f" {', '.join(f'`{name}`' for name in sorted(PASSED_ON))}.",
    )

    @model_validator(mode="after")
    def _login_is_complete(self) -> Self:
        if not self.security_protocol.startswith("SASL"):
            return self
        match self.sasl_mechanism:
            case "OAUTHBEARER":
                has_secret = self.oauth_client_secret or self.oauth_client_secret_file
                credentials = self.oauth_token_url and self.oauth_client_id and has_secret
                if bool(credentials) == bool(self.oauth_token_file):
                    raise contradiction(
                        "OAUTHBEARER needs either oauth_token_file, or oauth_token_url with"
                        " oauth_client_id and oauth_client_secret (or oauth_client_secret_file)",
                        "sasl_mechanism",
                    )
            case "AWS_MSK_IAM":
                if not self.msk_region:
                    raise contradiction("AWS_MSK_IAM needs msk_region", "sasl_mechanism")
            case _:
                if not (self.sasl_username and (self.sasl_password or self.sasl_password_file)):
                    raise contradiction(
                        f"{self.security_protocol} needs sasl_username, and sasl_password or"
                        " sasl_password_file",
                        "security_protocol",
                    )
        return self

    @model_validator(mode="after")
    def _secrets_are_given_once(self) -> Self:
        for name in SECRETS:
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise contradiction("should be given once", name, f"{name}_file")
        return self

    @model_validator(mode="after")
    def _certificate_is_used(self) -> Self:
        if self.ssl_certfile and not self.security_protocol.endswith("SSL"):
            raise contradiction(
                "a certificate needs the protocol SSL or SASL_SSL",
                "ssl_certfile",
                "security_protocol",
            )
        return self


def read_secret(settings: Connection, name: str) -> str | None:
    """Return a secret in plain text, from its setting or from the file that its setting names.

    Args:
        settings: of the connection.
        name: of the setting that holds the secret; ``<name>_file`` names the file.

    Returns:
        The secret, without the line break at the end of a file; None if it is not set.

    Raises:
        SettingsError: the file cannot be read, or is empty.
    """
    value: SecretStr | None = getattr(settings, name)
    path: Path | None = getattr(settings, f"{name}_file")
    if value is not None:
        return value.get_secret_value()
    if path is None:
        return None
    return read_secret_file(path, f"{name}_file")


def read_secret_file(path: Path, setting: str) -> str:
    """Return the text of a file with a secret, without the line break at its end.

    Raises:
        SettingsError: the file cannot be read, or is empty.
    """
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{setting}: cannot read {path}: {reason}") from None
    if not secret:
        raise SettingsError(f"{setting}: {path} is empty")
    return secret
