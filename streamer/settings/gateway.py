"""Every setting of `streamer gateway` that the worker does not have.

They are read as those of the worker are, and from the same file: a worker ignores them.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, SecretStr, model_validator

from streamer.settings.catalogue import Settings
from streamer.settings.checked_texts import Address
from streamer.settings.connection import Name
from streamer.settings.sources import contradiction

DEVICE_LEVEL: Final = "{device}"


def _check_topic(pattern: str) -> str:
    levels = pattern.split("/")
    if levels.count(DEVICE_LEVEL) != 1 or any(
        set(level) & set("+#{}") for level in levels if level != DEVICE_LEVEL
    ):
        raise ValueError("should have one level `{device}` and no wildcards")
    return pattern


TopicPattern = Annotated[str, AfterValidator(_check_topic)]
"""A topic of MQTT in which one level is `{device}`."""


class GatewaySettings(Settings):
    """The settings of the worker, which say where Kafka is, and those of the gateway."""

    # Where the gateway listens, and who may use it
    gateway_host: Name = Field(
        "127.0.0.1",
        description="Address on which the gateway listens. Other addresses than those of loopback"
        " need `gateway_tokens` and TLS.",
    )
    gateway_port: int = Field(
        8080, ge=0, le=65535, description="Port of the gateway; 0 takes a free one."
    )
    gateway_tokens: Path | None = Field(
        None,
        description="File, or directory of files, with a line for each token. Without it everyone"
        " who reaches the gateway may write and read for each device.",
    )
    gateway_certificate: Path | None = Field(
        None, description="Certificate chain of the gateway (PEM); it turns TLS on."
    )
    gateway_private_key: Path | None = Field(
        None, description="Private key of the certificate (PEM). Default: in the same file."
    )
    gateway_plain_http: bool = Field(
        False,
        description="Serve plain HTTP also off loopback, because a proxy in front of the gateway"
        " has TLS.",
    )

    gateway_cors_origins: str = Field(
        "",
        description="Origins whose web pages may use the gateway, comma-separated; `*` for all."
        " Pages of the gateway itself always may.",
    )

    # Limits
    gateway_max_body_bytes: PositiveInt = Field(
        4 * 1024 * 1024,
        description="Largest body of a request and largest WebSocket message, after unpacking.",
    )
    gateway_max_readings: PositiveInt = Field(
        1000, description="Largest number of readings in a request."
    )
    gateway_max_samples_per_s: PositiveFloat = Field(
        2000,
        allow_inf_nan=False,
        description="Samples a second of a device, sustained; a minute's worth may come at once.",
    )
    gateway_max_devices_per_token: PositiveInt = Field(
        100_000, description="Different devices of a token within ten minutes."
    )
    gateway_max_connections: PositiveInt = Field(
        10_000, description="Open connections; more are refused."
    )
    gateway_request_timeout_s: PositiveFloat = Field(
        30,
        allow_inf_nan=False,
        description="Longest time for the headers of a request, and for its body; a connection"
        " without a request is closed after it.",
    )
    gateway_idle_timeout_s: PositiveFloat = Field(
        120,
        allow_inf_nan=False,
        description="Longest time between two messages of a WebSocket; then it is closed.",
    )
    gateway_drain_s: PositiveFloat = Field(
        20,
        allow_inf_nan=False,
        description="Longest time for ending open requests when the gateway is stopped.",
    )
    gateway_buffer_bytes: PositiveInt = Field(
        64 * 1024 * 1024,
        description="Largest size of the readings that wait for Kafka; when it is reached, clients"
        " are told to try again later.",
    )
    gateway_ack_timeout_s: PositiveFloat = Field(
        10,
        allow_inf_nan=False,
        description="Longest time for which a reading waits for Kafka before its client is told to"
        " try again later.",
    )

    # MQTT
    mqtt_broker: Address | None = Field(
        None,
        description="MQTT broker from which readings are taken too: `host:port`. It needs"
        " `streamer[mqtt]`. The broker decides which device may publish on which topic.",
    )
    mqtt_topic: TopicPattern = Field(
        "devices/{device}/readings",
        description="Topics of the devices; the level `{device}` is the device id.",
    )
    mqtt_format: Literal["json", "msgpack", "f32"] = Field(
        "json",
        description="Format of messages of the contract; the property `content type` of MQTT 5 goes"
        " first.",
    )
    mqtt_version: Literal["5", "3.1.1"] = Field("5", description="Version of MQTT.")
    mqtt_share: str = Field(
        "streamer",
        pattern=r"^[^/+#]*$",
        description="Name of the shared subscription of all gateways, with MQTT 5; empty for none,"
        " and then each gateway gets every message.",
    )
    mqtt_client_id: Name | None = Field(
        None,
        description="Client id at the MQTT broker: each gateway needs its own, and keeps it."
        " Default: made of the host name and the port.",
    )
    mqtt_in_flight: int = Field(
        1000, ge=1, le=65535, description="Messages that the broker may send ahead of Kafka."
    )
    mqtt_username: Name | None = Field(None, description="User name at the MQTT broker.")
    mqtt_password: SecretStr | None = Field(None, description="Password at the MQTT broker.")
    mqtt_tls: bool = Field(False, description="Use TLS to the MQTT broker.")
    mqtt_cafile: Path | None = Field(
        None,
        description="Trusted CA certificates for the MQTT broker (PEM). Default: the system's.",
    )

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if is_loopback(self.gateway_host):
            return self
        if self.gateway_tokens is None:
            raise contradiction(
                "an address that others can reach needs tokens: make one with `streamer gateway"
                " token --device ID`, and name its file in gateway_tokens",
                "gateway_host",
                "gateway_tokens",
            )
        if self.gateway_certificate is None and not self.gateway_plain_http:
            raise contradiction(
                "an address that others can reach needs TLS: name a certificate in"
                " gateway_certificate, or set gateway_plain_http if a proxy in front of the gateway"
                " has TLS",
                "gateway_host",
                "gateway_certificate",
            )
        return self

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        if self.gateway_private_key is not None and self.gateway_certificate is None:
            raise contradiction(
                "a private key needs its certificate", "gateway_private_key", "gateway_certificate"
            )
        return self


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address: 127.0.0.0/8, ::1 or localhost."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
