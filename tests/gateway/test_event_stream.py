"""Readings as they arrive, for somebody who looks at a device."""

import asyncio
import json
import threading

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from streamer.contracts.decode import decode
from streamer.contracts.readings import Decoded
from streamer.contracts.records import OneRecord, Records
from streamer.errors import RegistryError
from streamer.gateway.event_stream import send_readings
from streamer.gateway.live_readings import Arrived, LiveReadings
from streamer.settings import GatewaySettings
from tests.support.gateway import reading
from tests.support.records import NOW_MS, SKEW_US


# registry  | does not answer at first | answers
# decoder   | waits                    | decodes
# gateway   | serves other clients     | sends the readings
async def test_a_registry_that_does_not_answer_holds_up_nobody_and_ends_no_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings, arrived = LiveReadings(GatewaySettings.load({}, None)), Arrived(2)
    failed, is_over, answers = False, False, threading.Event()

    def ask_registry(records: Records) -> Decoded:
        nonlocal failed
        if not failed:
            failed = True
            raise RegistryError("the schema registry does not answer")
        assert answers.wait(60), "the event loop waits for the registry"
        return decode(records, SKEW_US)

    async def show(request: web.Request) -> web.StreamResponse:
        return await send_readings(request, readings, arrived, lambda: not is_over)

    monkeypatch.setattr(readings, "decode", ask_registry)
    app = web.Application()
    app.router.add_get("/", show)
    for number in range(2):
        body = reading("phone-17", 3, timestamp_ms=NOW_MS)
        arrived.put_nowait(Records.of([OneRecord(b"phone-17", body, [], NOW_MS, number)]))
    async with TestServer(app) as server, aiohttp.ClientSession() as session, asyncio.timeout(120):
        asking = asyncio.create_task(session.get(server.make_url("/")))
        while not arrived.empty():  # noqa: ASYNC110 - the queue has no event for it
            await asyncio.sleep(0.01)
        answers.set()
        async with await asking as answer:
            line = await answer.content.readline()
            assert len(json.loads(line.removeprefix(b"data: "))["acc"]) == 3
            is_over = True
            arrived.put_nowait(Records.of([]))
            assert b"event: end" in await answer.content.read()
