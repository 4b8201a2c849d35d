"""Committed events reach those who follow them over HTTP and WebSocket, and nobody else."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions

from streamer.contracts.events import encode_event, window_id
from streamer.gateway import event_hub, event_stream, live_events
from streamer.gateway.event_hub import read_positions
from streamer.gateway.token_file import Grant, make_token
from streamer.kafka import topics
from streamer.settings import GatewaySettings
from tests.gateway.conftest import MakeGatewaySettings
from tests.support.events import WALK
from tests.support.gateway import RunningGateway, reading, running_gateway

PATIENCE_S = 60


def event(device_id: str, number: int, label: str = "WALKING") -> bytes:
    start = 1280 * number
    changed = msgspec.structs.replace(
        WALK,
        device_id=device_id,
        label=label,
        window_id=window_id(device_id, start),
        window_start=start,
        window_end=start + 2560,
    )
    return encode_event(changed)


@asynccontextmanager
async def worker(settings: GatewaySettings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer of transactions, as a worker has one."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, transactional_id=settings.events_topic
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def publish(
    producer: AIOKafkaProducer,
    settings: GatewaySettings,
    *events: tuple[str, int],
    abort: bool = False,
) -> None:
    await producer.begin_transaction()
    for device_id, number in events:
        await producer.send_and_wait(
            settings.events_topic, event(device_id, number), key=device_id.encode()
        )
    await (producer.abort_transaction() if abort else producer.commit_transaction())


HOSTILE_EVENTS = [
    b'{"device_id": "phone", "window_start": 0, "window_end": 2560, "activity": "\xff"}',
    event("phone", 1)[:-1] + b', "more": "\xff\xfe"}',
    event("phone", 1)[:-1] + b', "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b"\0\0\0\0\1framed for a registry",
    b"",
]
"""Values in the topic of events that are no events."""


class Follower:
    """A client of server-sent events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.last_id = ""

    async def next(self) -> tuple[str, dict[str, Any]]:
        """Return the name and the data of the next message; ``end of stream`` at its end."""
        name, data = "message", ""
        async with asyncio.timeout(PATIENCE_S):
            while line := (await self._response.content.readline()).decode():
                field, _, value = line.rstrip("\n").partition(": ")
                if field == "id":
                    self.last_id = value
                elif field == "event":
                    name = value
                elif field == "data":
                    data = value
                elif not field and data:
                    return name, json.loads(data)
        return "end of stream", {}

    async def window(self) -> str:
        name, data = await self.next()
        assert name == "message", data
        return str(data["window_id"])

    async def until_id(self, but: str = "") -> str:
        """Read until the stream has an id that is another one."""
        async with asyncio.timeout(PATIENCE_S):
            while self.last_id == but:
                line = (await self._response.content.readline()).decode()
                assert line, "the stream has ended"
                field, _, value = line.rstrip("\n").partition(": ")
                self.last_id = value if field == "id" else self.last_id
        return self.last_id


@asynccontextmanager
async def follow(
    gateway: RunningGateway, path: str, token: str | None = None, since: str = ""
) -> AsyncIterator[Follower]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {"Last-Event-ID": since} if since else {}
    patience = aiohttp.ClientTimeout(total=None)
    async with gateway.session.get(path, headers=headers, timeout=patience) as response:
        assert response.status != 500
        yield Follower(response)


async def test_no_value_in_the_topic_of_events_stops_the_others_or_forges_an_event(
    make_gateway_settings: MakeGatewaySettings,
) -> None:
    settings = make_gateway_settings()
    in_lines = event("phone", 2).replace(b",", b",\r\n\n")
    async with (
        running_gateway(settings, live=True) as gateway,
        worker(settings) as producer,
        follow(gateway, "/events/phone") as own,
    ):
        await own.until_id()
        await producer.begin_transaction()
        for value in (*HOSTILE_EVENTS, in_lines, event("phone", 3)):
            await producer.send_and_wait(settings.events_topic, value, key=b"phone")
        await producer.commit_transaction()
        assert [await own.window(), await own.window()] == ["phone/2560", "phone/3840"]


async def test_events_in_partitions_that_were_added_are_followed(
    make_gateway_settings: MakeGatewaySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_events, "_LOOK_S", 0.2)
    settings = make_gateway_settings()
    async with (
        running_gateway(settings, live=True) as gateway,
        worker(settings) as producer,
        follow(gateway, "/events/phone") as own,
    ):
        await own.until_id()
        await publish(producer, settings, ("phone", 1))
        assert await own.window() == "phone/1280"
        async with topics.admin_client(settings, 60) as admin:
            await admin.create_partitions({settings.events_topic: NewPartitions(4)})
            async with asyncio.timeout(PATIENCE_S):
                while (await topics.partition_counts(admin))[settings.events_topic] < 4:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        async with worker(settings) as later:
            await later.begin_transaction()
            await later.send_and_wait(
                settings.events_topic, event("phone", 2), b"phone", partition=3
            )
            await later.commit_transaction()
        assert await own.window() == "phone/2560"


async def test_committed_events_are_followed_and_aborted_ones_are_not(
    make_gateway_settings: MakeGatewaySettings,
) -> None:
    settings = make_gateway_settings()
    async with (
        running_gateway(settings, live=True) as gateway,
        worker(settings) as producer,
        follow(gateway, "/events/phone") as own,
        follow(gateway, "/events") as every,
    ):
        await own.until_id()
        await every.until_id()
        await publish(producer, settings, ("phone", 0), ("watch", 0), abort=True)
        await publish(producer, settings, ("watch", 1))
        await publish(producer, settings, ("phone", 2))
        assert await own.window() == "phone/2560"
        assert {await every.window(), await every.window()} == {"watch/1280", "phone/2560"}


async def test_a_follower_that_reconnects_gets_the_events_it_has_missed(
    make_gateway_settings: MakeGatewaySettings,
) -> None:
    """Event 0 is seen; 1 and 2 are published while nobody follows; 3 when it has come back.

    Another gateway has read the same log, so it knows the same ids.
    """
    settings = make_gateway_settings()
    async with (
        running_gateway(settings, live=True) as gateway,
        running_gateway(settings, live=True) as other,
        worker(settings) as producer,
    ):
        async with follow(gateway, "/events/phone") as before:
            begin = await before.until_id()
            await publish(producer, settings, ("phone", 0))
            assert await before.window() == "phone/0"
            stop = await before.until_id(but=begin)
        await publish(producer, settings, ("phone", 1), ("watch", 1))
        await publish(producer, settings, ("phone", 2))
        for each in (gateway, other):
            async with follow(each, "/events/phone", since=stop) as after:
                assert await after.window() == "phone/1280"
                assert await after.window() == "phone/2560"
        async with follow(gateway, "/events/phone", since=stop) as after:
            await publish(producer, settings, ("phone", 3))
            windows = [await after.window() for _ in range(3)]
            assert windows == ["phone/1280", "phone/2560", "phone/3840"]


async def test_a_follower_that_reconnects_too_late_gets_a_message_about_the_lost_events(
    make_gateway_settings: MakeGatewaySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hub, "KEPT_EVENTS", 3)
    settings = make_gateway_settings(partitions=1)
    async with running_gateway(settings, live=True) as gateway, worker(settings) as producer:
        async with follow(gateway, "/events/phone") as before:
            stop = await before.until_id()
        await publish(producer, settings, *(("phone", number) for number in range(5)))
        async with follow(gateway, "/events/phone") as current:
            # Kafka's client may give the five in several parts.
            while read_positions(await current.until_id(but=current.last_id))[0] < 5:
                pass
        async with follow(gateway, "/events/phone", since=stop) as after:
            assert await after.next() == ("gap", {"missed": {"0": 0}})
            assert [await after.window() for _ in range(3)] == [
                "phone/2560",
                "phone/3840",
                "phone/5120",
            ]


async def test_a_client_that_reads_too_slowly_is_told_so_at_the_end(
    make_gateway_settings: MakeGatewaySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not read while 20 MB of events arrive, more than the buffers of sockets hold."""
    monkeypatch.setattr(event_hub, "WAITING_EVENTS", 100)
    monkeypatch.setattr(event_stream, "_WRITE_S", PATIENCE_S)
    settings = make_gateway_settings(partitions=1)
    async with (
        running_gateway(settings, live=True) as gateway,
        worker(settings) as producer,
        follow(gateway, "/events/phone") as slow,
        follow(gateway, "/events/watch") as other,
    ):
        await slow.until_id()
        await producer.begin_transaction()
        for number in range(1000):
            large = event("phone", number, label="x" * 20_000)
            await producer.send(settings.events_topic, large, key=b"phone")
        await producer.commit_transaction()
        await publish(producer, settings, ("watch", 0))
        assert await other.window() == "watch/0"
        names = []
        while (message := await slow.next())[0] != "end of stream":
            names.append(message[0])
            last = message[1]
        assert names[-1] == "end"
        assert "read faster" in last["reason"]
        assert set(names[:-1]) <= {"message"}
        assert len(names) < 1000


async def test_an_id_that_is_not_ours_is_a_bad_request(
    make_gateway_settings: MakeGatewaySettings,
) -> None:
    async with (
        running_gateway(make_gateway_settings(), live=True) as gateway,
        follow(gateway, "/events/phone", since="yesterday") as refused,
    ):
        assert refused.status == 400


async def test_a_token_follows_its_own_devices_until_it_is_withdrawn(
    make_gateway_settings: MakeGatewaySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "_HEARTBEAT_S", 0.1)
    phone, phone_line = make_token(Grant("owner", device_id="phone-1"))
    fleet, fleet_line = make_token(Grant("fleet", prefix="phone-"))
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{phone_line}\n{fleet_line}\n")
    settings = make_gateway_settings(gateway_tokens=tokens)
    async with running_gateway(settings, live=True) as gateway, worker(settings) as producer:
        for path, token, status in [
            ("/events", None, 401),
            ("/events/phone-1", "st_wrong", 401),
            ("/events/phone-2", phone, 403),
            ("/events/watch", fleet, 403),
            ("/readings/phone-2", phone, 403),
            ("/history/phone-2", phone, 403),
            ("/fleet", None, 401),
        ]:
            async with follow(gateway, path, token) as refused:
                assert refused.status == status, path
        async with (
            follow(gateway, "/events", phone) as own,
            follow(gateway, "/events", fleet) as scope,
        ):
            await own.until_id()
            await scope.until_id()
            await publish(producer, settings, ("watch", 0), ("phone-2", 0), ("phone-1", 0))
            assert await own.window() == "phone-1/0"
            assert {await scope.window(), await scope.window()} == {"phone-1/0", "phone-2/0"}
            async with gateway.session.get(
                "/fleet", headers={"Authorization": f"Bearer {phone}"}
            ) as answer:
                fleet_page = await answer.json()
            assert [row["device_id"] for row in fleet_page["devices"]] == ["phone-1"]
            tokens.write_text(f"{fleet_line}\n")
            gateway.access.reload()
            assert await own.next() == ("end", {"reason": event_stream.WITHDRAWN})
            assert (await own.next())[0] == "end of stream"


async def test_a_device_gets_its_own_labels_on_its_websocket(
    make_gateway_settings: MakeGatewaySettings,
) -> None:
    settings = make_gateway_settings()
    async with (
        running_gateway(settings, live=True) as gateway,
        worker(settings) as producer,
        follow(gateway, "/events") as current,
        gateway.session.ws_connect("/ws/phone") as socket,
    ):
        await current.until_id()
        await publish(producer, settings, ("watch", 0), ("phone", 0))
        message = await socket.receive_json(timeout=PATIENCE_S)
        assert message["event"]["window_id"] == "phone/0"


async def test_the_readings_of_a_device_are_shown_as_they_arrive(
    make_gateway_settings: MakeGatewaySettings,
) -> None:
    settings = make_gateway_settings()
    async with (
        running_gateway(settings, live=True) as gateway,
        follow(gateway, "/events") as current,
    ):
        await current.until_id()
        await _until_known(gateway)
        async with follow(gateway, "/readings/phone-17") as shown:
            arriving = asyncio.create_task(shown.next())
            while not arriving.done():  # the reader begins at the end of the topic
                await gateway.post("/readings/phone-17", reading(samples=3))
                await gateway.post("/readings/watch", reading("watch"))
                await asyncio.wait({arriving}, timeout=0.2)
            name, data = await arriving
        assert name == "message"
        assert data["acc"][0] == [0.01, -0.98, 0.12]
        assert data["t"][1] - data["t"][0] == 20


async def _until_known(gateway: RunningGateway) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with gateway.session.get("/fleet") as answer:
                if not (await answer.json())["trouble"]:
                    return
            await asyncio.sleep(0.05)


async def test_the_end_of_the_gateway_ends_streams_at_once(
    make_gateway_settings: MakeGatewaySettings,
) -> None:
    settings = make_gateway_settings(gateway_drain_s=PATIENCE_S)
    async with AsyncExitStack() as clients:
        async with AsyncExitStack() as running:
            gateway = await running.enter_async_context(running_gateway(settings, live=True))
            await _until_known(gateway)
            # A session that the end of the gateway does not close.
            address = f"http://127.0.0.1:{gateway.port}"
            session = await clients.enter_async_context(aiohttp.ClientSession(address))
            own = dataclasses.replace(gateway, session=session)
            followers = [
                await clients.enter_async_context(follow(own, path))
                for path in ("/events", "/readings/phone")
            ]
            await followers[0].until_id()
        for each in followers:
            assert await each.next() == ("end", {"reason": event_hub.GATEWAY_ENDS})


async def test_a_page_of_an_allowed_origin_can_read_streams(
    make_gateway_settings: MakeGatewaySettings,
) -> None:
    settings = make_gateway_settings(gateway_cors_origins="https://app.example.org")
    async with running_gateway(settings, live=True) as gateway:
        ours, others = ({"Origin": f"https://{name}.example.org"} for name in ("app", "other"))
        async with gateway.session.get("/events/phone", headers=ours) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == ours["Origin"]
        async with gateway.session.options("/events/phone", headers=ours) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == ours["Origin"]
        async with gateway.session.get("/events/phone", headers=others) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
