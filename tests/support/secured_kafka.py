"""A broker that asks for everything: TLS with client certificates, a login, and permissions."""

import base64
import importlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from streamer.kafka.permissions import Permission
from streamer.localkafka.broker import LocalKafka
from streamer.localkafka.security import ADMIN, BrokerSecurity
from streamer.settings import Settings

ISSUER = "https://issuer.test"
AUDIENCE = "kafka"
PASSWORDS = {ADMIN: "admin-secret", "worker": "worker-secret", "tool": "tool-secret"}

_OAUTH = "org.apache.kafka.common.security.oauthbearer"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Issuer:
    """Signs tokens as an OpenID provider does, with a key that the broker knows."""

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        numbers = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "kid": "one",
            "alg": "RS256",
            "use": "sig",
            "n": _encode(numbers.n.to_bytes(256, "big")),
            "e": _encode(numbers.e.to_bytes(3, "big")),
        }
        self.keys = folder / "jwks.json"
        self.keys.write_text(json.dumps({"keys": [key]}))

    def sign(self, user: str, lasts_s: float = 3600) -> str:
        """Return a token (JWT, RS256) for a user."""
        now = round(time.time())
        claims = {
            "sub": user,
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "exp": round(now + lasts_s),
        }
        parts = [
            _encode(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "one"}, claims)
        ]
        signed = ".".join(parts).encode()
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return f"{signed.decode()}.{_encode(signature)}"

    def properties(self) -> str:
        """Return the lines of a broker's configuration that make it trust this issuer."""
        prefix = "listener.name.clients"
        return (
            f"{prefix}.oauthbearer.sasl.server.callback.handler.class="
            f"{_OAUTH}.OAuthBearerValidatorCallbackHandler\n"
            f"{prefix}.oauthbearer.sasl.jaas.config={_OAUTH}.OAuthBearerLoginModule required;\n"
            f"{prefix}.sasl.oauthbearer.jwks.endpoint.url={self.keys.as_uri()}\n"
            f"{prefix}.sasl.oauthbearer.expected.audience={AUDIENCE}\n"
            f"{prefix}.sasl.oauthbearer.expected.issuer={ISSUER}\n"
        )


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """A running broker, its users, and the issuer of tokens that it trusts."""

    kafka: LocalKafka
    issuer: Issuer

    def connection(self, user: str = ADMIN) -> dict[str, Any]:
        """Return the settings with which a user connects."""
        return {
            "bootstrap_servers": self.kafka.bootstrap_servers,
            "security_protocol": "SASL_SSL",
            "ssl_cafile": str(self.kafka.folder / "ca.pem"),
            "ssl_certfile": str(self.kafka.folder / "client.pem"),
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": user,
            "sasl_password": PASSWORDS[user],
        }

    def settings(self, user: str = ADMIN, /, **others: Any) -> Settings:
        """Return settings with which a user connects."""
        return Settings.load(self.connection(user) | others, None)

    @contextmanager
    def grant(self, user: str, permissions: Sequence[Permission]) -> Iterator[None]:
        """Allow a user something, and take it back at the end."""
        kafka: Any = importlib.import_module("confluent_kafka.admin")
        admin = kafka.AdminClient(
            {
                "bootstrap.servers": self.kafka.bootstrap_servers,
                "security.protocol": "SASL_SSL",
                "ssl.ca.location": str(self.kafka.folder / "ca.pem"),
                "ssl.certificate.location": str(self.kafka.folder / "client.pem"),
                "ssl.key.location": str(self.kafka.folder / "client.pem"),
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": ADMIN,
                "sasl.password": PASSWORDS[ADMIN],
            }
        )
        bindings = [_binding(user, permission) for permission in permissions]
        for done in admin.create_acls(bindings).values():
            done.result()
        try:
            yield
        finally:
            filters = [
                kafka.AclBindingFilter(
                    *(found.restype, found.name, found.resource_pattern_type, found.principal),
                    *(found.host, found.operation, found.permission_type),
                )
                for found in bindings
            ]
            for done in admin.delete_acls(filters).values():
                done.result()


def _binding(user: str, permission: Permission) -> Any:
    admin: Any = importlib.import_module("confluent_kafka.admin")

    kinds = {
        "topic": admin.ResourceType.TOPIC,
        "group": admin.ResourceType.GROUP,
        "cluster": admin.ResourceType.BROKER,
        "transactional-id": admin.ResourceType.TRANSACTIONAL_ID,
    }
    operations = {
        "Read": admin.AclOperation.READ,
        "Write": admin.AclOperation.WRITE,
        "Describe": admin.AclOperation.DESCRIBE,
        "Create": admin.AclOperation.CREATE,
        "DescribeConfigs": admin.AclOperation.DESCRIBE_CONFIGS,
    }
    pattern = (
        admin.ResourcePatternType.PREFIXED
        if permission.prefixed
        else admin.ResourcePatternType.LITERAL
    )
    return admin.AclBinding(
        *(kinds[permission.kind], permission.name, pattern, f"User:{user}", "*"),
        *(operations[permission.operation], admin.AclPermissionType.ALLOW),
    )


@contextmanager
def run_secured_kafka(folder: Path, properties: str = "") -> Iterator[SecuredKafka]:
    """Run a broker with mutual TLS, SCRAM, OAUTHBEARER, and ACLs that deny by default."""
    issuer = Issuer(folder)
    security = BrokerSecurity(
        tls=True,
        client_certificates=True,
        sasl=["SCRAM-SHA-512", "OAUTHBEARER"],
        users=PASSWORDS,
        acls=True,
        properties=issuer.properties() + properties,
    )
    with LocalKafka(security=security) as kafka:
        yield SecuredKafka(kafka, issuer)
