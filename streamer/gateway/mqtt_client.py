"""What a client of an MQTT broker tells it, and what it gets."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

Version = Literal["5", "3.1.1"]


class MqttError(Exception):
    """The broker does not answer, refuses something, or does not follow the protocol."""


@dataclass(frozen=True, slots=True)
class MqttClient:
    """What a client tells a broker of itself.

    Attributes:
        client_id: the session belongs to it.
        version: of MQTT.
        username: None for none.
        password: of the user.
        session_expiry_s: how long a broker of MQTT 5 keeps the session of a client that is away.
        receive_maximum: messages that the broker may send before they are acknowledged; MQTT 5.
        largest_packet: bytes; a broker of MQTT 5 sends none that is larger.
    """

    client_id: str
    version: Version
    username: str | None
    password: str | None
    session_expiry_s: int
    receive_maximum: int
    largest_packet: int


class Message(NamedTuple):
    """A message of the subscription."""

    topic: str
    payload: bytes
    packet_id: int
    qos: int
    content_type: str
    """Empty if the message names none."""


def describe_client(client: MqttClient) -> Properties:
    """Return what a broker of MQTT 5 is told of a client."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = client.session_expiry_s
    properties.ReceiveMaximum = client.receive_maximum
    properties.MaximumPacketSize = client.largest_packet
    return properties
