"""Gives a local Kafka TLS, logins and permissions, to try a secured set-up on one machine."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamer.errors import BrokerError

if TYPE_CHECKING:
    import trustme

ADMIN: Final = "admin"
"""The user for whom no permission is checked."""

_SCRAM_LOGIN: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"
_PLAIN_LOGIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"


@dataclass(frozen=True, slots=True)
class BrokerSecurity:
    """What a broker asks of its clients on the listener that is for them.

    The nodes talk to one another, and to the program that starts them, on a listener without
    security on another port of the loopback interface.
    """

    tls: bool = False
    """Whether connections are encrypted; the authority's certificate is in `ca.pem`."""
    client_certificates: bool = False
    """Whether clients must show a certificate of the same authority (mutual TLS)."""
    sasl: Sequence[str] = ()
    """Mechanisms of the login, such as `SCRAM-SHA-512`; none for no login."""
    users: Mapping[str, str] = field(default_factory=dict)
    """Passwords by name."""
    acls: bool = False
    """Whether everything is denied that no ACL allows; `admin` may do everything."""
    properties: str = ""
    """Further lines of `server.properties`."""

    @property
    def protocol(self) -> str:
        """Return Kafka's name of the protocol of the listener, as in `security_protocol`."""
        return {
            (False, False): "PLAINTEXT",
            (True, False): "SSL",
            (False, True): "SASL_PLAINTEXT",
            (True, True): "SASL_SSL",
        }[self.tls, bool(self.sasl)]

    def server_properties(self, folder: Path) -> str:
        """Return the lines of `server.properties`, and write the certificates into a folder."""
        protocols = f"INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENTS:{self.protocol}"
        lines = [
            f"listener.security.protocol.map={protocols}",
            "inter.broker.listener.name=INTERNAL",
        ]
        if self.tls:
            make_certificates(folder)
            lines += [
                "ssl.keystore.type=PEM",
                f"ssl.keystore.location={(folder / 'server.pem').as_posix()}",
                "ssl.truststore.type=PEM",
                f"ssl.truststore.location={(folder / 'ca.pem').as_posix()}",
            ]
        if self.client_certificates:
            lines.append("listener.name.clients.ssl.client.auth=required")
        if self.sasl:
            lines.append(f"listener.name.clients.sasl.enabled.mechanisms={','.join(self.sasl)}")
        for mechanism in self.sasl:
            if mechanism.startswith("SCRAM"):
                lines.append(
                    f"listener.name.clients.{mechanism.lower()}.sasl.jaas.config="
                    f"{_SCRAM_LOGIN} required;"
                )
        if "PLAIN" in self.sasl:
            users = " ".join(f'user_{name}="{word}"' for name, word in self.users.items())
            lines.append(
                f"listener.name.clients.plain.sasl.jaas.config={_PLAIN_LOGIN} required {users};"
            )
        if self.acls:
            lines += [
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                f"super.users=User:{ADMIN};User:ANONYMOUS",
            ]
        return "\n".join([*lines, self.properties]) + "\n"

    def describe_clients(self, folder: Path) -> str:
        """Return the settings with which `streamer` reaches the broker, as environment."""
        lines = {"security_protocol": self.protocol}
        if self.tls:
            lines["ssl_cafile"] = str(folder / "ca.pem")
        if self.client_certificates:
            lines["ssl_certfile"] = str(folder / "client.pem")
        if self.sasl:
            name, password = next(iter(self.users.items()))
            lines |= {"sasl_mechanism": self.sasl[0], "sasl_username": name}
            lines["sasl_password"] = password
        return "\n".join(
            f"export STREAMER_{name.upper()}={shlex.quote(value)}" for name, value in lines.items()
        )

    def format_arguments(self) -> list[str]:
        """Return the arguments with which the storage is formatted: SCRAM users are data."""
        return [
            f"--add-scram={mechanism}=[name={name},password={word}]"
            for mechanism in self.sasl
            if mechanism.startswith("SCRAM")
            for name, word in self.users.items()
        ]


def make_certificates(folder: Path) -> None:
    """Write `ca.pem`, `server.pem` and `client.pem` for this machine, unless they are there.

    Raises:
        BrokerError: the package trustme is not installed.
    """
    if (folder / "client.pem").exists():
        return
    authority = make_authority()
    folder.mkdir(parents=True, exist_ok=True)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    _write(authority.issue_cert("localhost", "127.0.0.1"), folder / "server.pem")
    _write(authority.issue_cert("client.localhost", common_name="client"), folder / "client.pem")


def make_authority() -> "trustme.CA":
    """Return a new certificate authority.

    Raises:
        BrokerError: the package trustme is not installed.
    """
    try:
        import trustme  # noqa: PLC0415 - an extra
    except ImportError:
        raise BrokerError(
            "certificates need the package trustme: pip install 'streamer[local]'"
        ) from None
    return trustme.CA()


def _write(certificate: "trustme.LeafCert", path: Path) -> None:
    """Write a key and its chain into a file that only its owner can read."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - of trustme

    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    # Java reads no other form.
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.touch(mode=0o600)
    path.write_bytes(pem + b"".join(part.bytes() for part in certificate.cert_chain_pems))
