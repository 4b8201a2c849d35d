"""The packets of MQTT 5 and 3.1.1 that a subscriber with QoS 1 sends and receives. Pure.

Numbers of sections are those of the standard of MQTT 5; 3.1.1 has the same packets without
properties.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Version = Literal["5", "3.1.1"]

CONNACK: Final = 2
PUBLISH: Final = 3
SUBACK: Final = 9
DISCONNECT: Final = 14

PINGREQ: Final = b"\xc0\x00"
NORMAL_DISCONNECT: Final = b"\xe0\x00"

_SESSION_EXPIRY, _RECEIVE_MAXIMUM, _MAXIMUM_PACKET_SIZE = 0x11, 0x21, 0x27
_CONTENT_TYPE, _SERVER_KEEP_ALIVE, _REASON = 0x03, 0x13, 0x1F

_FIXED_SIZES: Final = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((_SERVER_KEEP_ALIVE, _RECEIVE_MAXIMUM, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, _SESSION_EXPIRY, 0x18, _MAXIMUM_PACKET_SIZE), 4),
}
"""Sizes of properties, in bytes (2.2.2.2)."""
_TEXTS: Final = {_CONTENT_TYPE, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, _REASON}
_SUBSCRIPTION, _USER = 0x0B, 0x26

_REFUSALS: Final = {
    1: "unacceptable protocol version",
    2: "identifier rejected",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorized",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "unsupported protocol version",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8D: "keep alive timeout",
    0x8E: "session taken over: another client uses the same client id",
    0x8F: "topic filter invalid",
    0x93: "receive maximum exceeded",
    0x95: "packet too large",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x9E: "shared subscriptions not supported",
    0x9F: "connection rate exceeded",
    0xA2: "wildcard subscriptions not supported",
}


class MqttError(Exception):
    """The broker does not answer, refuses something, or does not follow the protocol."""


class Packet(NamedTuple):
    """A packet as it was received."""

    head: int
    """The first byte: the type, and flags."""
    body: bytes

    @property
    def type(self) -> int:
        """Return which packet it is: one of the constants of this module, or another one."""
        return self.head >> 4


class Message(NamedTuple):
    """An application message that the broker has sent."""

    topic: str
    payload: bytes
    packet_id: int
    """What acknowledges it; 0 for a message with QoS 0, which needs no acknowledgement."""
    is_retained: bool
    content_type: str


@dataclass(frozen=True, slots=True)
class Connected:
    """What the broker says when it accepts a connection."""

    keep_alive_s: int | None
    """The longest silence that it allows, if it does not take that of the client."""


def write_connect(
    version: Version,
    client_id: str,
    *,
    username: str | None,
    password: str | None,
    keep_alive_s: int,
    session_expiry_s: int,
    receive_maximum: int,
    maximum_packet_bytes: int,
) -> bytes:
    """Return CONNECT, which goes on with the session of the client id if the broker has one.

    Only a broker of MQTT 5 is told the last three.
    """
    flags = 0x80 * (username is not None) | 0x40 * (password is not None)
    body = _text("MQTT") + bytes([5 if version == "5" else 4, flags])
    body += keep_alive_s.to_bytes(2, "big")
    if version == "5":
        body += _sized(
            bytes([_SESSION_EXPIRY])
            + session_expiry_s.to_bytes(4, "big")
            + bytes([_RECEIVE_MAXIMUM])
            + receive_maximum.to_bytes(2, "big")
            + bytes([_MAXIMUM_PACKET_SIZE])
            + maximum_packet_bytes.to_bytes(4, "big")
        )
    body += _text(client_id)
    body += b"".join(_text(each) for each in (username, password) if each is not None)
    return b"\x10" + _sized(body)


def write_subscribe(version: Version, pattern: str) -> bytes:
    """Return SUBSCRIBE with QoS 1. Retained messages are not wanted: they are old (3.8.3.1)."""
    properties, options = (b"\x00", 0x21) if version == "5" else (b"", 0x01)
    return b"\x82" + _sized(b"\x00\x01" + properties + _text(pattern) + bytes([options]))


def write_puback(packet_id: int) -> bytes:
    """Return PUBACK: the client has taken over a message."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def split_packets(received: bytes, longest: int) -> tuple[list[Packet], bytes]:
    """Return the packets that are complete, and the bytes after them.

    Raises:
        MqttError: a packet is longer than ``longest`` bytes.
    """
    packets, begin, end = list[Packet](), 0, len(received)
    while begin + 2 <= end:
        size, body = received[begin + 1], begin + 2
        if size & 0x80:
            found = _read_varint(received, begin + 1)
            if found is None:
                break
            size, body = found
        if size > longest:
            raise MqttError(f"the broker sends a packet of {size} bytes; {longest} are allowed")
        if body + size > end:
            break
        packets.append(Packet(received[begin], received[body : body + size]))
        begin = body + size
    return packets, received[begin:]


def read_message(version: Version, packet: Packet) -> Message:
    """Return the message of PUBLISH.

    Raises:
        MqttError: the broker does not follow the protocol.
    """
    body = packet.body
    try:
        at = 2 + int.from_bytes(body[:2], "big")
        topic = body[2:at].decode()
        packet_id = 0
        if packet.head & 0x06:
            packet_id = int.from_bytes(body[at : at + 2], "big")
            at += 2
        content_type = ""
        if version == "5":
            if body[at] == 0:  # no properties
                at += 1
            else:
                properties, at = _read_properties(body, at)
                content_type = properties.get(_CONTENT_TYPE, b"").decode()
    except (IndexError, ValueError) as error:
        raise MqttError(f"the broker sends a message that cannot be read: {error}") from None
    return Message(topic, body[at:], packet_id, bool(packet.head & 1), content_type)


def read_connack(version: Version, packet: Packet) -> Connected:
    """Return what CONNACK says.

    Raises:
        MqttError: the broker refuses the connection, or does not follow the protocol.
    """
    if packet.type != CONNACK or len(packet.body) < 2:
        raise MqttError("the broker does not answer in MQTT")
    properties = _properties_from(packet.body, 2) if version == "5" else {}
    if code := packet.body[1]:
        raise MqttError(f"the broker refuses the connection: {_describe(code, properties)}")
    keep_alive = properties.get(_SERVER_KEEP_ALIVE)
    return Connected(None if keep_alive is None else int.from_bytes(keep_alive, "big"))


def check_suback(version: Version, packet: Packet, pattern: str) -> None:
    """Look at SUBACK.

    Raises:
        MqttError: the broker refuses the subscription.
    """
    properties, at = _read_properties(packet.body, 2) if version == "5" else ({}, 2)
    for code in packet.body[at:]:
        if code >= 0x80:
            raise MqttError(
                f"the broker refuses the subscription to {pattern}: {_describe(code, properties)}"
            )


def describe_disconnect(packet: Packet) -> str:
    """Return why the broker of MQTT 5 ends the connection."""
    code = packet.body[0] if packet.body else 0
    properties = _properties_from(packet.body, 1)
    return f"the broker ends the connection: {_describe(code, properties)}"


def _describe(code: int, properties: dict[int, bytes]) -> str:
    known = _REFUSALS.get(code, f"reason code {code:#04x}")
    reason = properties.get(_REASON, b"").decode(errors="replace")
    return f"{known} ({reason})" if reason else known


def _properties_from(body: bytes, at: int) -> dict[int, bytes]:
    return _read_properties(body, at)[0] if len(body) > at else {}


def _read_properties(body: bytes, at: int) -> tuple[dict[int, bytes], int]:
    """Return the properties that begin at an index, by their number, and the index after them."""
    found = _read_varint(body, at)
    if found is None:
        raise MqttError("the broker sends a packet that is cut off")
    size, begin = found
    return dict(_list_properties(body[begin : begin + size])), begin + size


def _list_properties(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(encoded):
        number, at = encoded[at], at + 1
        if number in _TEXTS:
            begin = at + 2
            at = begin + int.from_bytes(encoded[at:begin], "big")
            yield number, encoded[begin:at]
        elif number == _USER:
            for _ in range(2):
                at += 2 + int.from_bytes(encoded[at : at + 2], "big")
        elif number == _SUBSCRIPTION:
            while encoded[at : at + 1] >= b"\x80":
                at += 1
            at += 1
        elif size := _FIXED_SIZES.get(number):
            yield number, encoded[at : at + size]
            at += size
        else:
            raise MqttError(f"the broker sends an unknown property {number:#04x}")


def _read_varint(encoded: bytes, at: int) -> tuple[int, int] | None:
    """Return a number of variable length (1.5.5) and the index after it; None if it is cut off."""
    number = 0
    for place in range(4):
        if at + place >= len(encoded):
            return None
        byte = encoded[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise MqttError("the broker sends a length of more than four bytes")


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _sized(body: bytes) -> bytes:
    size, head = len(body), bytearray()
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(head) + bytes([size]) + body
