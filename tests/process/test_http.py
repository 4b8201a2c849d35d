import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import msgspec
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from streamer.errors import SettingsError
from streamer.health import Health
from streamer.metrics import Metrics
from streamer.process.http import WorkerPages, serve_pages
from streamer.settings import Settings
from tests.support.clock import Clock


@dataclass
class Ops:
    """A server and what it tells about."""

    clock: Clock = field(default_factory=Clock)
    metrics: Metrics = field(default_factory=Metrics)
    health: Health = field(init=False)
    url: str = ""

    def __post_init__(self) -> None:
        self.health = Health(self.clock)

    async def get(self, path: str, accept: str = "*/*") -> tuple[int, str]:
        async with (
            aiohttp.ClientSession(headers={"Accept": accept}) as session,
            session.get(self.url + path) as answer,
        ):
            return answer.status, await answer.text()

    async def readiness(self) -> tuple[int, str | None]:
        status, text = await self.get("/readyz")
        answer = msgspec.json.decode(text)
        assert answer["ready"] == (status == 200)
        return status, answer["reason"]


@asynccontextmanager
async def running() -> AsyncIterator[Ops]:
    ops = Ops()
    async with serve_pages(
        Settings.load({"http_port": 0}), WorkerPages(ops.metrics, ops.health)
    ) as port:
        ops.url = f"http://127.0.0.1:{port}"
        yield ops


async def test_the_metrics_can_be_parsed_and_are_those_of_the_catalogue() -> None:
    async with running() as ops:
        ops.metrics.records.inc(7)
        status, text = await ops.get("/metrics")
    assert status == 200
    families = {each.name: each for each in text_string_to_metric_families(text)}
    catalogue = {entry.name.removesuffix("_total") for entry in ops.metrics.catalogue}
    assert {name for name in families if not name.endswith("_created")} == {
        *catalogue,
        "streamer_build_info",
    }
    values = {sample.name: sample.value for sample in families["streamer_records"].samples}
    assert values["streamer_records_total"] == 7


async def test_openmetrics_is_served_when_the_client_accepts_it() -> None:
    async with running() as ops:
        _, text = await ops.get("/metrics", "application/openmetrics-text; version=1.0.0")
    names = {each.name for each in openmetrics.text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
    assert "streamer_lag_seconds" in names


async def test_a_worker_is_alive_before_it_is_ready() -> None:
    async with running() as ops:
        well = '{"alive": true, "trouble": null, "devices_without_labels": {}}'
        assert await ops.get("/healthz") == (200, well)
        ops.health.unlabelled |= {"a": "implausible", "b": "coverage", "c": "coverage"}
        assert '{"implausible": 1, "coverage": 2}' in (await ops.get("/healthz"))[1]
        status, reason = await ops.readiness()
        assert status == 503
        assert reason is not None
        assert reason.startswith("not connected")
        ops.health.connected = True
        assert await ops.readiness() == (200, None)


async def test_a_worker_is_not_ready_while_partitions_recover() -> None:
    async with running() as ops:
        ops.health.connected = True
        ops.health.recovering = {3, 1}
        assert await ops.readiness() == (
            503,
            "recovering: rebuilding the state of partitions 1, 3 from the log",
        )
        ops.health.recovering.clear()
        assert await ops.readiness() == (200, None)


async def test_a_worker_without_progress_is_stalled_after_the_timeout() -> None:
    async with running() as ops:
        ops.health.connected = True
        ops.health.no_progress()
        ops.clock.now_s += ops.health.patience_s
        ops.health.answered()
        ops.health.no_progress()  # does not start the time again
        assert await ops.readiness() == (200, None)
        ops.clock.now_s += 0.001
        assert await ops.readiness() == (
            503,
            "stalled: there are records, and none went through for more than 30 s",
        )
        assert (await ops.get("/healthz"))[0] == 200
        ops.health.progress()
        assert await ops.readiness() == (200, None)


async def test_the_root_page_names_the_other_pages() -> None:
    async with running() as ops:
        _, text = await ops.get("/")
        assert {"/metrics", "/healthz", "/readyz"} <= set(text.split())
        for path in text.split()[1:]:
            assert (await ops.get(path))[0] in {200, 503}


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings.load({"http_port": port})
        with pytest.raises(SettingsError) as caught:
            async with serve_pages(settings, WorkerPages(Metrics(), Health(Clock()))):
                pass
    message = str(caught.value)
    assert message.startswith(f"cannot serve metrics on 127.0.0.1:{port}: ")
    assert "address already in use" in message.lower()
    assert message.endswith("choose another with --http-port, 0 for any free one")
