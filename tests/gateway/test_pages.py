"""The pages in a real Chromium, with a gateway, a worker and Kafka behind them."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import numpy as np
import pytest

from streamer.contracts.decode import decode
from streamer.contracts.records import OneRecord, Records
from streamer.gateway.token_file import Grant, make_token
from streamer.kafka.ground_truth import read_labels
from streamer.localkafka.broker import LocalKafka
from streamer.settings import GatewaySettings
from tests.support import worker_process
from tests.support.browser import PATIENCE_MS, chromium, cut_recording, play
from tests.support.gateway import RunningGateway, running_gateway

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

WALKING = (7496, 8078)
"""Where the first person of the public recordings walks."""

VIEWS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light"},
    "phone": {
        "viewport": {"width": 390, "height": 760},
        "color_scheme": "dark",
        "has_touch": True,
    },
}


@dataclass
class Site:
    """A gateway with its worker, and a browser."""

    gateway: RunningGateway
    browser: "Browser"
    token: str

    @asynccontextmanager
    async def page(self, path: str, view: str = "phone", **fragment: str) -> AsyncIterator["Page"]:
        """Open a page with the token; at its end nothing may have been blocked or have failed."""
        context = await self.browser.new_context(**VIEWS[view])
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda message: faults.append(message.text) if message.type == "error" else None,
        )
        hosts: set[str] = set()
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        here = f"127.0.0.1:{self.gateway.port}"
        try:
            await page.goto(f"http://{here}{path}#{urlencode({'token': self.token, **fragment})}")
            yield page
            assert faults == []
            assert hosts == {here}
        finally:
            await context.close()


@pytest.fixture(scope="module")
async def site(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One gateway, one worker and one browser for all tests here."""
    unique, folder = uuid.uuid4().hex[:8], tmp_path_factory.mktemp("site")
    token, line = make_token(Grant("fleet"))
    tokens = folder / "tokens"
    tokens.write_text(f"{line}\n")
    settings = GatewaySettings.load(
        {
            "bootstrap_servers": kafka.bootstrap_servers,
            "readings_topic": f"readings-{unique}",
            "events_topic": f"events-{unique}",
            "segments_topic": f"segments-{unique}",
            "current_topic": f"current-{unique}",
            "dlq_topic": f"dlq-{unique}",
            "labels_topic": f"labels-{unique}",
            "group_id": f"group-{unique}",
            "partitions": 2,
            "gateway_tokens": tokens,
        },
        None,
    )
    async with chromium() as browser, running_gateway(settings, live=True) as gateway:
        with worker_process.run(settings, folder / "worker.log") as worker:
            await asyncio.to_thread(worker.until_ready)
            yield Site(gateway, browser, token)


async def until(page: "Page", condition: str) -> None:
    """Wait until a JavaScript expression is true; Playwright's own waiting needs `unsafe-eval`."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while not await page.evaluate(condition):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)


async def until_text(page: "Page", selector: str, text: str) -> None:
    """Wait until the first element of a selector has a text."""
    await until(page, f"document.querySelector({selector!r})?.textContent === {text!r}")


async def start_phone(page: "Page") -> None:
    """Start by the keyboard alone."""
    button = page.get_by_role("button", name="Start")
    await button.focus()
    await page.keyboard.press("Enter")


async def test_the_phone_page_and_the_fleet_page_show_walking_for_a_walking_phone(
    site: Site, har_dir: Path
) -> None:
    async with site.page("/phone", device="walker") as phone:
        await start_phone(phone)
        await play(phone, cut_recording(har_dir, *WALKING))
        await until_text(phone, "#activity", "walking")
        await until(phone, "document.querySelector('#state').textContent == 'connected'")
        assert "certain" in await phone.locator("#note").inner_text()

        async with site.page("/", "desktop") as fleet:
            row = fleet.get_by_role("button", name="walker")
            await row.focus()
            await fleet.keyboard.press("Enter")
            await until_text(fleet, "#activity", "walking")
            assert await row.get_attribute("aria-pressed") == "true"
            await until(fleet, "document.querySelector('#bars').textContent.includes('walking')")
            await until(fleet, "Number(document.querySelector('#active').textContent) > 0")
            await until(fleet, "document.querySelectorAll('#stretches tr').length > 0")
            await until(fleet, COUNT_COLOURED + "('--axis-x') > 100")
            await until(fleet, COUNT_COLOURED + "('--walking') > 1000")

        await phone.get_by_role("button", name="Wrong? Say what it was").click()
        await phone.get_by_role("button", name="walking upstairs").click()
        await until(phone, "document.querySelector('#noted').textContent.startsWith('Noted: ')")
        assert not await phone.get_by_role("button", name="walking upstairs").is_visible()
        await phone.get_by_role("button", name="Stop").click()
        await until_text(phone, "#activity", "Stopped")
    [label] = await read_labels(site.gateway.settings)
    assert (label.device_id, label.activity) == ("walker", "walking_upstairs")
    assert 0 < label.end - label.start < PATIENCE_MS


COUNT_COLOURED = """
((name) => {
  const canvas = document.querySelector("#chart"), context = canvas.getContext("2d");
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = getComputedStyle(canvas).getPropertyValue(name).trim();
  probe.fillRect(0, 0, 1, 1);
  const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4)
    if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 24) count++;
  return count;
})
"""
"""Counts the pixels of the chart that have nearly the colour of a variable."""


@pytest.mark.parametrize("view", VIEWS)
async def test_axe_finds_nothing_on_the_pages(site: Site, view: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.base").AXE_SCRIPT
    for path, ready in (("/", "#fleet"), ("/phone", "#phone")):
        async with site.page(path, view, device="walker") as page:
            await page.wait_for_selector(ready)
            await page.evaluate(axe)
            found = await page.evaluate("axe.run()")
            assert found["passes"]
            faults = [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]]
            assert faults == []


async def test_a_page_without_a_token_asks_for_one(site: Site) -> None:
    context = await site.browser.new_context()
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await page.goto(f"http://127.0.0.1:{site.gateway.port}/")
    await page.get_by_label("Token").fill(site.token)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#fleet")
    assert site.token not in page.url
    await context.close()


async def test_readings_of_chromiums_own_sensors_have_the_axes_and_units_of_the_contract(
    site: Site,
) -> None:
    """The sensors of the device measure 1, 2 and 3 g, and turn by 0.1, 0.2 and 0.3 rad/s."""
    sent: list[str] = []
    async with site.page("/phone", device="sensors") as page:
        page.on(
            "websocket",
            lambda socket: socket.on("framesent", lambda text: sent.append(str(text))),
        )
        devtools = await page.context.new_cdp_session(page)
        # Other sensors may be asked for too: an event needs all.
        for kind, (x, y, z) in {
            "accelerometer": (9.80665, 2 * 9.80665, 3 * 9.80665),
            "linear-acceleration": (0, 0, 0),
            "gyroscope": (0.1, 0.2, 0.3),
        }.items():
            override = {"enabled": True, "type": kind}
            await devtools.send("Emulation.setSensorOverrideEnabled", override)
            reading = {"type": kind, "reading": {"xyz": {"x": x, "y": y, "z": z}}}
            await devtools.send("Emulation.setSensorOverrideReadings", reading)
        await start_phone(page)
        await until(
            page, "document.querySelector('#counts').textContent.match(/[1-9]\\d* in Kafka/)"
        )
    records = [OneRecord(b"sensors", text.encode(), [], 2**42, i) for i, text in enumerate(sent)]
    decoded = decode(Records.of(records), 2**52)
    assert decoded.rejects == []
    # Browsers round what sensors measure, so that a phone cannot be told from another by it.
    assert np.abs(decoded.values - [1, 2, 3, 0.1, 0.2, 0.3]).max() < 0.01


async def test_samples_become_batches_with_their_own_times(site: Site) -> None:
    """60 Hz, then a pause, then two samples of which one has an earlier time, then no gyroscope."""
    times = [*(16.7 * i for i in range(30)), 900.0, 890.0, 916.7, 933.4]
    async with site.page("/phone") as page:
        texts = await page.evaluate(
            """
            async (times) => {
              const { Batches, isNegated, readMotion } = await import("/static/motion.js");
              const texts = [], batches = new Batches("d", (text) => texts.push(text));
              const iPhone = { userAgent: "Mozilla/5.0 (iPhone)", maxTouchPoints: 5 };
              const sign = isNegated(iPhone) ? -1 : 1;
              times.forEach((timeStamp, i) => batches.add(readMotion({
                timeStamp,
                accelerationIncludingGravity: { x: 0, y: 0, z: -9.80665 },
                rotationRate: i < times.length - 1 ? { alpha: 180, beta: 0, gamma: 0 } : null,
              }, 1.7e12, sign)));
              batches.flush();
              return texts;
            }
            """,
            times,
        )
    records = [OneRecord(b"d", text.encode(), [], 2**42, i) for i, text in enumerate(texts)]
    decoded = decode(Records.of(records), 2**52)
    assert decoded.rejects == []
    kept = [time for time in times if time != 890.0]
    assert np.abs(decoded.time_us / 1000 - 1.7e12 - kept).max() < 0.01
    assert np.abs(decoded.values[:, 2] - 1).max() < 1e-4
    assert np.abs(decoded.values[:-1, 3] - np.pi).max() < 1e-4
    assert np.isnan(decoded.values[-1, 3])
    assert [json.loads(text).get("interval_ms", 0) > 0 for text in texts] == [True] * 4 + [False]


async def test_what_was_not_acknowledged_is_sent_again_after_the_connection_was_lost(
    site: Site, har_dir: Path
) -> None:
    async with site.page("/phone", device="wanderer") as page:
        await start_phone(page)
        await play(page, cut_recording(har_dir, *WALKING))
        await until(page, IN_KAFKA + "> 30")
        before = await page.evaluate(IN_KAFKA)
        await page.evaluate(
            """
            () => {
              const send = WebSocket.prototype.send;
              let lost = 0;
              // The gateway never sees these messages; then the connection breaks.
              WebSocket.prototype.send = function (text) {
                if (++lost === 5) this.close();
                if (lost > 5) { WebSocket.prototype.send = send; this.send(text); }
              };
            }
            """
        )
        await until(page, f"{IN_KAFKA} > {before} + 150")
    records = [each for each in await site.gateway.records() if each.key == b"wanderer"]
    decoded = decode(Records.of(records), 2**52)
    times_us = np.unique(decoded.time_us)
    assert np.diff(times_us).max() < 1_000_000


IN_KAFKA = (
    "Number(document.querySelector('#counts').textContent.match(/(\\d+) in Kafka/)?.[1] ?? 0)"
)


async def test_the_content_security_policy_forbids_content_of_other_origins(site: Site) -> None:
    for path in ("/", "/phone", "/static/gateway.js"):
        async with site.gateway.session.get(path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
