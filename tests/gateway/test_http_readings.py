"""Readings over HTTP in each format, and what is answered to those that cannot be used."""

import asyncio
import gzip
import json
import zlib
from urllib.parse import quote

import msgspec
import pytest

from streamer.contracts.readings import CONTENT_TYPE, CONTENT_TYPES, Format
from tests.support.gateway import RunningGateway, new_device, reading, with_changes

MSGPACK = CONTENT_TYPES[Format.MSGPACK].decode()
F32 = CONTENT_TYPES[Format.F32].decode()


@pytest.mark.parametrize("form", list(Format))
async def test_a_reading_in_each_format_is_written_as_it_came(
    gateway: RunningGateway, form: Format
) -> None:
    device, name = new_device(), CONTENT_TYPES[form]
    body = reading(device, 3, form)
    answer = await gateway.post(f"/readings/{device}", body, Content_Type=name.decode())
    assert answer == (200, {"accepted": 1})
    [record] = await gateway.records_of(device)
    assert record.value == body
    headers = {} if form is Format.JSON else {CONTENT_TYPE: name}
    assert dict(record.headers) == headers


async def test_many_readings_of_several_devices_come_in_one_request(
    gateway: RunningGateway,
) -> None:
    one, other = new_device(), new_device()
    bodies = [reading(one), reading(other), reading(one, 5)]
    array = b"[" + b" , ".join(bodies) + b"]"
    assert await gateway.post("/readings", array) == (200, {"accepted": 3})
    lines = b"\n".join(bodies) + b"\n"
    answer = await gateway.post("/readings", lines, Content_Type="application/x-ndjson")
    assert answer == (200, {"accepted": 3})
    packed = b"\x92" + reading(one, 1, Format.MSGPACK) + reading(other, 1, Format.MSGPACK)
    assert await gateway.post("/readings", packed, Content_Type=MSGPACK) == (200, {"accepted": 2})
    blocks = reading(one, 4, Format.F32) + reading(one, 2, Format.F32)
    answer = await gateway.post(f"/readings/{one}", blocks, Content_Type=F32)
    assert answer == (200, {"accepted": 2})
    values = [record.value for record in await gateway.records_of(one)]
    assert values[:4] == [bodies[0], bodies[2], bodies[0], bodies[2]]
    assert values[5:] == [reading(one, 4, Format.F32, 0)[:8] + blocks[8:120], blocks[120:]]
    assert len(await gateway.records_of(other)) == 3


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_body_is_unpacked(gateway: RunningGateway, encoding: str) -> None:
    device = new_device()
    body = reading(device, 100)
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    answer = await gateway.post(f"/readings/{device}", packed, Content_Encoding=encoding)
    assert answer == (200, {"accepted": 1})
    [record] = await gateway.records_of(device)
    assert record.value == body


async def test_a_device_id_may_have_any_characters(gateway: RunningGateway) -> None:
    device = f"{new_device()}/rue de l'Été 5%2F#?"
    body = reading(device)
    answer = await gateway.post(f"/readings/{quote(device, safe='')}", body)
    assert answer == (200, {"accepted": 1})
    [record] = await gateway.records_of(device)
    assert record.value == body


async def test_each_faulty_reading_is_named_and_none_of_its_request_is_written(
    gateway: RunningGateway,
) -> None:
    device = new_device()
    good = reading(device)
    bad = [
        with_changes(good, acc=[[0, 0, 0]]),
        with_changes(good, timestamp=1_763_906_400),
        with_changes(good, device_id="another"),
    ]
    array = b"[" + b",".join([good, *bad]) + b"]"
    status, answer = await gateway.post(f"/readings/{device}", array)
    assert status == 400
    assert [(each["reading"], each["reason"]) for each in answer["readings"]] == [
        (1, "schema"),
        (2, "timestamp"),
        (3, "key"),
    ]
    assert "1 samples of acc, 2 of gyro" in answer["readings"][0]["detail"]
    assert "looks like seconds" in answer["readings"][1]["detail"]
    assert "'another'" in answer["readings"][2]["detail"]
    assert await gateway.records_of(device) == []


@pytest.mark.parametrize(
    ("body", "content_type", "status", "words"),
    [
        (b"", "", 400, "malformed"),
        (b"[]", "", 400, "the request has no reading"),
        (b"{", "", 400, "malformed"),
        (b"not JSON", "", 400, "malformed"),
        (b'{"acc": NaN}', "", 400, "malformed"),
        (b"[" * 100_000, "", 400, "the array of readings is not well-formed"),
        (b"\xff\xfe", "", 400, "malformed"),
        (b"[1, 2]", "", 400, "schema"),
        (b"\xc1", MSGPACK, 400, "malformed"),
        (b"\xdd\xff\xff\xff\xff", MSGPACK, 400, "the array of readings is not well-formed"),
        (b"\x01\x00", F32, 400, "malformed"),
        (b"\x01\x00\x00\x00\xff\xff\xff\xff" + bytes(16), F32, 400, "malformed"),
        (b"{}", "image/png", 415, "Content-Type 'image/png' is not known"),
        (b"x" * 200_001, "", 413, "more than 200000 bytes"),
        (b"[" + b",".join([reading()] * 51) + b"]", "", 413, "51 readings, more than 50"),
    ],
    ids=range(15),
)
async def test_a_body_that_cannot_be_used_has_a_clear_answer(
    gateway: RunningGateway, body: bytes, content_type: str, status: int, words: str
) -> None:
    answer = await gateway.post("/readings/phone-17", body, Content_Type=content_type)
    assert answer[0] == status
    assert words in json.dumps(answer[1])


async def test_a_body_that_claims_to_be_compressed_and_is_not_is_refused(
    gateway: RunningGateway,
) -> None:
    status, answer = await gateway.post("/readings/p", b"{}" * 50, Content_Encoding="gzip")
    assert status == 400
    assert "damaged" in answer["error"]


async def test_a_gzip_bomb_is_refused_before_it_is_unpacked(gateway: RunningGateway) -> None:
    bomb = gzip.compress(bytes(100_000_000))
    assert len(bomb) < 100_000
    status, answer = await gateway.post("/readings/phone-17", bomb, Content_Encoding="gzip")
    assert (status, answer["error"]) == (
        413,
        "the body has more than 200000 bytes when it is unpacked",
    )


async def test_a_body_that_is_cut_off_is_not_written(gateway: RunningGateway) -> None:
    device = new_device()
    body = reading(device)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = f"POST /readings/{device} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body) + 1}\r\n\r\n"
    writer.write(head.encode() + body)
    writer.write_eof()
    await reader.read()
    writer.close()
    assert (await gateway.post(f"/readings/{device}", reading(device)))[0] == 200
    assert len(await gateway.records_of(device)) == 1


async def test_an_unknown_path_and_a_wrong_method_are_answered_as_json(
    gateway: RunningGateway,
) -> None:
    assert await gateway.post("/nothing", b"") == (404, {"error": "Not Found"})
    async with gateway.session.get("/readings") as answer:
        assert (answer.status, await answer.json()) == (405, {"error": "Method Not Allowed"})
        assert answer.headers["Allow"] == "POST"


async def test_a_device_id_that_is_too_long_is_refused(gateway: RunningGateway) -> None:
    status, answer = await gateway.post(f"/readings/{'x' * 256}", reading())
    assert (status, answer["error"]) == (400, "the device id has 256 bytes, not 1 to 255")


async def test_what_is_answered_is_counted(gateway: RunningGateway) -> None:
    before = await gateway.metrics_shown()
    await gateway.post("/readings", reading(new_device(), 7))
    await gateway.post("/readings", b"{")
    after = await gateway.metrics_shown()
    changed = {name for name in after if after[name] != before.get(name)}
    assert 'streamer_gateway_readings_total{outcome="accepted",protocol="http"}' in changed
    assert 'streamer_gateway_readings_total{outcome="unreadable",protocol="http"}' in changed
    assert 'streamer_gateway_unreadable_total{reason="malformed"}' in changed
    samples = 'streamer_gateway_samples_total{protocol="http"}'
    assert after[samples] - before[samples] == 7


def test_arrays_of_messagepack_are_those_that_the_test_writes() -> None:
    one = reading("a", 1, Format.MSGPACK)
    assert len(msgspec.msgpack.decode(b"\x92" + one + one)) == 2
