"""The packets of MQTT that a gateway reads: whole, cut off, and such as no broker should send."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.gateway import mqtt_packets
from streamer.gateway.mqtt_packets import (
    Message,
    MqttError,
    Packet,
    check_suback,
    describe_disconnect,
    read_connack,
    read_message,
    split_packets,
)

VERSIONS = ["5", "3.1.1"]


def text(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def publish(body: bytes, flags: int = 0x02) -> Packet:
    return Packet(mqtt_packets.PUBLISH << 4 | flags, body)


@given(st.lists(st.binary(max_size=300), max_size=5), st.data())
def test_packets_are_found_wherever_the_stream_is_cut(
    bodies: list[bytes], data: st.DataObject
) -> None:
    sizes = [
        bytes([len(each)]) if len(each) < 128 else bytes([len(each) & 127 | 128, len(each) >> 7])
        for each in bodies
    ]
    stream = b"".join(b"\x30" + size + body for size, body in zip(sizes, bodies, strict=True))
    found, rest = list[Packet](), b""
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        packets, rest = split_packets(rest + stream[:cut], 1000)
        found += packets
        stream = stream[cut:]
    assert ([each.body for each in found], rest) == (bodies, b"")


@given(st.sampled_from(VERSIONS), st.binary(max_size=100))
def test_bytes_that_are_no_packets_give_an_error_of_the_protocol_and_no_other(
    version: mqtt_packets.Version, body: bytes
) -> None:
    for read in (
        lambda: split_packets(body, 50),
        lambda: read_message(version, publish(body)),
        lambda: read_connack(version, Packet(0x20, body)),
        lambda: check_suback(version, Packet(0x90, body), "devices/+"),
        lambda: describe_disconnect(Packet(0xE0, body)),
    ):
        with contextlib.suppress(MqttError):
            read()


def test_a_message_with_all_properties_of_mqtt_5_is_read() -> None:
    properties = (
        b"\x01\x01\x02\x00\x00\x00\x3c"
         b"\x26" + text(b"name") + text(b"value")
        + b"\x0b\x80\x01"
        + b"\x08" + text(b"answers")
        + b"\x09" + text(b"\xff\xfe")
        + b"\x03" + text(b"application/x-streamer-f32")
    )  # fmt: skip
    body = text(b"devices/a/readings") + b"\x01\x02" + bytes([len(properties)]) + properties
    assert read_message("5", publish(body + b"payload", 0x03)) == Message(
        "devices/a/readings", b"payload", 0x0102, True, "application/x-streamer-f32"
    )


def test_a_message_of_mqtt_3_has_no_properties_and_with_qos_0_no_number() -> None:
    body = text(b"devices/a/readings") + b"\x00payload"
    assert read_message("3.1.1", publish(body, 0)) == Message(
        "devices/a/readings", b"\x00payload", 0, False, ""
    )


@pytest.mark.parametrize(
    ("version", "body", "words"),
    [
        ("3.1.1", b"\x00\x05", "refuses the connection: not authorized"),
        ("5", b"\x00\x86\x00", "refuses the connection: bad user name or password"),
        ("5", b"\x00\x97\x06\x1f\x00\x03why", r"quota exceeded \(why\)"),
        ("5", b"\x00\xfe", "reason code 0xfe"),
    ],
)
def test_a_refused_connection_says_why(
    version: mqtt_packets.Version, body: bytes, words: str
) -> None:
    with pytest.raises(MqttError, match=words):
        read_connack(version, Packet(0x20, body))


def test_the_keep_alive_of_the_broker_goes_first() -> None:
    assert read_connack("5", Packet(0x20, b"\x01\x00\x03\x13\x00\x14")).keep_alive_s == 20
    assert read_connack("5", Packet(0x20, b"\x01\x00\x00")).keep_alive_s is None


def test_a_refused_subscription_names_its_pattern() -> None:
    with pytest.raises(MqttError, match=r"subscription to devices/\+: not authorized"):
        check_suback("5", Packet(0x90, b"\x00\x01\x00\x87"), "devices/+")


def test_a_packet_that_is_too_long_is_refused_before_it_has_arrived() -> None:
    with pytest.raises(MqttError, match="a packet of 2097152 bytes; 1000 are allowed"):
        split_packets(b"\x30\x80\x80\x80\x01", 1000)
