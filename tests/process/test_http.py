import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from streamer.errors import SettingsError
from streamer.health import Health
from streamer.metrics import Metrics
from streamer.process import http
from streamer.process.http import WorkerPages, serve_pages
from streamer.settings import Settings
from tests.support.certificates import make_certificate, trusting
from tests.support.clock import Clock

PATIENCE_S = 60.0


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
async def running(**settings: object) -> AsyncIterator[Ops]:
    ops = Ops()
    async with serve_pages(
        Settings.load({"http_port": 0} | settings), WorkerPages(ops.metrics, ops.health)
    ) as port:
        ops.url = f"http://127.0.0.1:{port}"
        yield ops


async def answer_to(ops: Ops, request: bytes) -> bytes:
    """Send bytes, and return everything that comes until the server ends the connection."""
    port = int(ops.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


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
    assert message.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert "address already in use" in message.lower()
    assert message.endswith("choose another with --http-port, 0 for any free one")


async def test_with_tokens_only_their_holders_see_metrics_and_details(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("new-token\nold-token\n")
    async with running(http_token_file=tokens) as ops, aiohttp.ClientSession() as session:

        async def get(page: str, authorization: str = "") -> tuple[int, str]:
            headers = {"Authorization": authorization} if authorization else {}
            async with session.get(ops.url + page, headers=headers) as answer:
                return answer.status, await answer.text()

        for wrong in ("", "Bearer other-token", "Basic new-token", "Bearer ü"):
            status, text = await get("/metrics", wrong)
            assert status == 401
            assert "http_token_file" in text
        no_text = b"GET /metrics HTTP/1.0\r\nAuthorization: Bearer \xff\r\n\r\n"
        assert (await answer_to(ops, no_text)).startswith(b"HTTP/1.0 401 ")
        # Probes look at the status, and learn nothing else.
        assert await get("/healthz") == (200, '{"alive": true}')
        assert await get("/readyz") == (503, '{"ready": false}')
        for token in ("new-token", "old-token"):
            status, text = await get("/metrics", f"Bearer {token}")
            assert status == 200
            assert "streamer_ready" in text
            assert "trouble" in (await get("/healthz", f"Bearer {token}"))[1]
            assert "not connected" in (await get("/readyz", f"Bearer {token}"))[1]

        (tmp_path / "renewed").write_text("new-token\n")
        (tmp_path / "renewed").replace(tokens)
        assert (await get("/metrics", "Bearer old-token"))[0] == 401
        assert (await get("/metrics", "Bearer new-token"))[0] == 200
        tokens.unlink()
        assert (await get("/metrics", "Bearer new-token"))[0] == 200


async def test_a_file_of_tokens_that_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="http_token_file: cannot read"):
        async with running(http_token_file=tmp_path / "missing"):
            pass


async def test_the_pages_are_served_over_tls_with_the_renewed_certificate(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "first", days=2)
    new_chain, new_key = make_certificate(tmp_path, "second", days=90)
    old = trusting(chain)
    async with (
        running(http_certificate=chain, http_private_key=key) as ops,
        aiohttp.ClientSession() as session,
    ):
        url = ops.url.replace("http://", "https://") + "/metrics"

        async def days_left(trusted: ssl.SSLContext) -> float:
            async with session.get(url, ssl=trusted) as answer:
                families = text_string_to_metric_families(await answer.text())
                [left_s] = [
                    sample.value
                    for family in families
                    for sample in family.samples
                    if sample.labels.get("file") == str(chain)
                ]
                return left_s / 86400

        assert 1.9 < await days_left(old) < 2.1
        new_chain.replace(chain)
        new_key.replace(key)
        assert 89.9 < await days_left(trusting(chain)) < 90.1
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await days_left(old)


async def test_the_port_is_read_only_and_limits_what_a_client_sends() -> None:
    async with running() as ops:
        for method in (b"POST", b"PUT", b"DELETE"):
            answer = await answer_to(ops, method + b" /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 405 ")
        long = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2 * http.LONGEST_LINE + b"\r\n\r\n"
        assert (await answer_to(ops, long)).startswith(b"HTTP/1.0 400 ")


async def test_a_connection_serves_one_request_and_a_slow_client_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running() as ops:
        twice = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2
        assert (await answer_to(ops, twice)).count(b"HTTP/1.1 200 OK") == 1
    monkeypatch.setattr(http, "LONGEST_S", 0.1)
    async with running() as ops:
        assert await answer_to(ops, b"GET / HTTP/1.1\r\nHost:") == b""


async def until_answered(ops: Ops, status: bytes) -> None:
    """Ask until the answer has this status: the server counts connections a little later."""
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with asyncio.timeout(PATIENCE_S):
        while status not in (await answer_to(ops, request))[: len("HTTP/1.1 200")]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_connections_that_are_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 2)
    monkeypatch.setattr(http, "LONGEST_S", PATIENCE_S)
    async with running() as ops:
        port = int(ops.url.rpartition(":")[2])
        open_ones = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await until_answered(ops, b"503")
        for _, writer in open_ones:
            writer.close()
            await writer.wait_closed()
        await until_answered(ops, b"200")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_connections_that_come_at_the_same_time_are_not_more_than_may_be_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: bool
) -> None:
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 2)
    monkeypatch.setattr(http, "LONGEST_S", 10 * PATIENCE_S)
    settings: dict[str, object] = {}
    options: dict[str, object] = {}
    if tls:
        chain, key = make_certificate(tmp_path, "server", days=2)
        settings = {"http_certificate": chain, "http_private_key": key}
        options = {"ssl": trusting(chain), "server_hostname": "127.0.0.1"}
    async with running(**settings) as ops:
        # The server accepts all of them at once: until they are there, the loop does not run.
        address = ("127.0.0.1", int(ops.url.rpartition(":")[2]))
        sockets = [socket.create_connection(address) for _ in range(12)]

        async def read_all(connected: socket.socket) -> bytes:
            reader, writer = await asyncio.open_connection(sock=connected, **options)  # type: ignore[arg-type]
            try:
                return await reader.read()
            finally:
                writer.transport.abort()

        reading = [asyncio.create_task(read_all(each)) for each in sockets]
        try:
            refused = 0
            async with asyncio.timeout(PATIENCE_S):
                for answer in asyncio.as_completed(reading):
                    assert (await answer).startswith(b"HTTP/1.1 503 ")
                    refused += 1
                    if refused == 10:
                        break
            assert sum(not task.done() for task in reading) == 2
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
