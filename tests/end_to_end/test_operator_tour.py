"""The tour of a new operator, with nothing but commands from the documents.

Three brokers with TLS, SCRAM and ACLs that deny by default; workers that are upgraded under load;
a gateway; Prometheus, whose alerts are provoked and cleared by their runbooks; a certificate that
is renewed; leaked tokens that are revoked; a backfill to which the consumers move. In the end each
window has been published once, with the bytes of the backfill.

All alerts: test_alerts.py. It runs in `make chaos`; with -s it says how long each step took.
"""

import asyncio
import contextlib
import json
import shlex
import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from streamer.localkafka.broker import free_ports
from streamer.settings import Settings
from tests.support.certificates import make_certificate, trusting
from tests.support.gateway import reading
from tests.support.member import read_events
from tests.support.previous_version import unpack_previous
from tests.support.processes import run, until
from tests.support.prometheus import Prometheus, running_prometheus
from tests.support.worker_process import Process

pytest.importorskip("trustme", reason="certificates are made with trustme")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

USERS: Final = ("admin", "worker", "gateway", "device", "reader")
NEW: Final = "events-2"
DEVICES: Final = 6
LOADED: Final = "--devices", str(DEVICES), "--batch", "10"
FAR_AWAY_DAYS, SOON_DAYS = 90, 3


class Tour:
    """A cluster, and what an operator starts on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, Process] = {}
        self._began_s = time.monotonic()
        self.events_s = 0.0

    def step(self, title: str) -> None:
        print(f"{time.monotonic() - self._began_s:4.0f} s  {title}", flush=True)

    def start(self, name: str, *arguments: str, code: Path | None = None) -> Process:
        """Start a command that runs on."""
        number = len(list(self.folder.glob(f"{name}-*.log")))
        log = self.folder / f"{name}-{number}.log"
        self._running[name] = Process(log, *arguments, code=code)
        return self._running[name]

    def stop(self, name: str) -> None:
        """End a command as a service manager does; it must end well."""
        command = self._running.pop(name)
        command.process.send_signal(signal.SIGTERM)
        command.ends(0, 120)

    def kill(self, name: str) -> None:
        command = self._running.pop(name)
        command.process.kill()
        command.process.wait()

    def kill_all(self) -> None:
        for name in [*self._running][::-1]:
            with contextlib.suppress(ProcessLookupError):
                # A local Kafka ends its nodes.
                self._running[name].process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._running[name].process.wait(30)
            self.kill(name)

    def streamer(self, *arguments: str, code: int = 0) -> str:
        """Run a command to its end, and return what it prints."""
        done = run(*arguments)
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def config(self, user: str) -> str:
        """Return the path of the settings of a user."""
        return str(self.folder / f"{user}.toml")

    def settings(self, user: str = "admin") -> Settings:
        return Settings.load({}, Path(self.config(user)))

    def write_configs(self, printed: str) -> None:
        """Write the settings of each user: those that the broker prints, with another login."""
        lines = [line for line in printed.splitlines() if line.startswith("export ")]
        words = dict(shlex.split(line)[1].split("=", 1) for line in lines)
        given = {name.removeprefix("STREAMER_").lower(): value for name, value in words.items()}
        del given["sasl_password"]
        for user in USERS:
            secret = self.folder / f"{user}.password"
            secret.write_text(f"{user}-secret\n")
            own = {"sasl_username": user, "sasl_password_file": str(secret)}
            lines = [f"{name} = {json.dumps(value)}" for name, value in (given | own).items()]
            if user != "admin":
                lines.append("create_topics = false")
            text = "\n".join([*lines, "log_format = 'json'", "session_timeout_s = 6"])
            Path(self.config(user)).write_text(text)


class Page:
    """A port with TLS that asks for a token."""

    def __init__(self, url: str, trusted: Path) -> None:
        self._url, self._trusted = url, trusted

    def status(self, path: str, token: str | None, body: bytes | None = None) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"{self._url}{path}", body, headers)
        context: ssl.SSLContext = trusting(self._trusted)
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def until_status(self, wanted: int, path: str, token: str | None) -> None:
        until(lambda: self.status(path, token) == wanted)


@pytest.fixture
def tour(tmp_path: Path) -> Iterator[Tour]:
    made = Tour(tmp_path)
    yield made
    made.kill_all()


def until_fires(prometheus: Prometheus, name: str) -> None:
    until(lambda: name in prometheus.firing())


def until_ends(prometheus: Prometheus, name: str) -> None:
    until(lambda: name not in prometheus.firing())


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def test_the_tour_of_a_new_operator(  # noqa: C901 - a paragraph for each step
    tour: Tour, tmp_path: Path
) -> None:
    (tmp_path / "previous").mkdir()
    tour.step("three brokers with TLS, client certificates, SCRAM and ACLs")
    users = [part for user in USERS for part in ("--user", f"{user}:{user}-secret")]
    brokers = tour.start(
        "brokers",
        *("broker", "--cluster", "3", "--port", "0", "--data-dir", str(tmp_path / "kafka")),
        *("--mutual-tls", "--sasl", "scram", "--acls", *users),
    )
    previous = unpack_previous(tmp_path / "previous")
    brokers.until_it_says("export STREAMER_SASL_PASSWORD")
    tour.write_configs(brokers.said)

    tour.step("nobody may do anything; then topics and permissions")
    worker, admin = tour.config("worker"), tour.config("admin")
    assert "created sensor-readings" in tour.streamer("topics", "create", "--config", admin)
    assert "this user may not use it" in tour.streamer(
        "run", "--until-end", "--config", worker, code=1
    )
    granted = {
        "worker": ["worker"],
        "gateway": ["gateway"],
        "device": ["device"],
        "reader": ["consumer", "dlq"],
    }
    for user, roles in granted.items():
        for role in roles:
            arguments = ["--role", role, "--principal", f"User:{user}", "--config", admin]
            tour.streamer("topics", "permissions", "--grant", *arguments)
    tour.streamer("topics", "check", "--config", admin)
    tour.streamer("config", "check", "--config", worker)

    tour.step("two workers of the previous version, and devices")
    began = now()
    for name in ("a", "b"):
        arguments = ["run", "--config", worker, "--http-port", "0", "--instance-id", name]
        tour.start(name, *arguments, code=previous).until_it_says("assigned")
    devices = tour.start("devices", "simulate", *LOADED, "--config", tour.config("device"))
    settings = tour.settings()
    until(lambda: asyncio.run(read_events(settings)))

    tour.step("the upgrade: one is stopped, the other one killed")
    chain, key = make_certificate(tmp_path, "worker", days=SOON_DAYS)
    renewed = make_certificate(tmp_path, "renewed", days=FAR_AWAY_DAYS)
    trusted, tokens, scraper = (tmp_path / name for name in ("trusted.pem", "tokens", "scraper"))
    trusted.write_bytes(chain.read_bytes() + renewed[0].read_bytes())
    tokens.write_text("leaked\n")
    scraper.write_text("leaked")
    ports = dict(zip("ab", free_ports(2), strict=True))
    secured = ["--http-certificate", str(chain), "--http-private-key", str(key)]
    secured += ["--http-token-file", str(tokens)]

    def start_worker(name: str) -> Process:
        arguments = ["run", "--config", worker, "--http-port", str(ports[name])]
        return tour.start(name, *arguments, *secured, "--instance-id", name)

    pages = {name: Page(f"https://127.0.0.1:{port}", trusted) for name, port in ports.items()}
    tour.stop("a")
    upgraded = [start_worker("a")]
    pages["a"].until_status(200, "/readyz", None)
    tour.kill("b")
    upgraded.append(start_worker("b"))
    pages["b"].until_status(200, "/readyz", None)
    for each in upgraded:
        assert "was not committed by this program" not in each.said

    tour.step("a gateway; a token of a device leaks and is revoked")
    gateway_tokens, gateway_port = tmp_path / "gateway-tokens", free_ports(1)[0]
    first, second = (
        tour.streamer("gateway", "token", "--device", "phone-17").splitlines() for _ in range(2)
    )
    secrets = [_secret(each) for each in (first, second)]
    gateway_tokens.write_text(_line(first) + "\n")
    tour.start(
        "gateway",
        *("gateway", "--config", tour.config("gateway"), "--gateway-port", str(gateway_port)),
        *("--gateway-tokens", str(gateway_tokens), "--gateway-certificate", str(renewed[0])),
        *("--gateway-private-key", str(renewed[1])),
    )
    door = Page(f"https://127.0.0.1:{gateway_port}", trusted)
    door.until_status(200, "/readyz", None)
    assert door.status("/readings/phone-17", secrets[0], reading(samples=10)) == 200
    assert door.status("/readings/phone-18", secrets[0], reading(samples=10)) == 403
    gateway_tokens.write_text(_line(second) + "\n")
    until(lambda: door.status("/readings/phone-17", secrets[0], reading(samples=10)) == 401)
    assert door.status("/readings/phone-17", secrets[1], reading(samples=10)) == 200
    tour.stop("gateway")

    tour.step("Prometheus: a certificate is about to expire, and is renewed")
    urls = [f"https://127.0.0.1:{port}" for port in ports.values()]
    scrape: dict[str, Any] = {
        "tls_config": {"ca_file": str(trusted)},
        "authorization": {"credentials_file": str(scraper)},
    }
    with running_prometheus(tmp_path / "prometheus", urls, **scrape) as prometheus:
        prometheus.until_scraped(2)
        until_fires(prometheus, "StreamerCertificateExpires")
        for new, old in zip(renewed, (chain, key), strict=True):
            shutil.copy(new, old)
        until_ends(prometheus, "StreamerCertificateExpires")

        tour.step("the token of Prometheus leaks and is revoked")
        tokens.write_text("leaked\nfresh\n")
        until(lambda: pages["a"].status("/metrics", "fresh") == 200)
        scraper.write_text("fresh")
        tokens.write_text("fresh\n")
        until(lambda: pages["a"].status("/metrics", "leaked") == 401)
        prometheus.until_scraped(2)

        tour.step("a worker is down, and is started again")
        tour.kill("b")
        until_fires(prometheus, "StreamerWorkerDown")
        start_worker("b")
        until_ends(prometheus, "StreamerWorkerDown")

        tour.step("a publisher sends what nobody can read, and is mended")
        broken = [*("--devices", "1", "--bad", "0.3", "--duration", "20"), "--seed", "9"]
        tour.streamer("simulate", *broken, "--config", tour.config("device"))
        until_fires(prometheus, "StreamerDeadLetters")
        assert "malformed" in tour.streamer("dlq", "list", "--config", tour.config("reader"))
        until_ends(prometheus, "StreamerDeadLetters")

    tour.step("a backfill up to now, and a comparison")
    cut_over = now()
    tour.streamer("topics", "create", "--backfill", NEW, "--config", admin)
    for user, role in (("worker", "worker"), ("reader", "consumer")):
        arguments = ["--backfill", NEW, "--role", role, "--principal", f"User:{user}"]
        tour.streamer("topics", "permissions", "--grant", *arguments, "--config", admin)
    span = ["--from", began, "--to", cut_over, "--events-topic", NEW]
    tour.streamer("backfill", *span, "--config", worker)

    tour.step("the cut-over: new workers go on with the backfill, then the old ones end")
    cut = tmp_path / "cut-over.toml"
    named = {
        "group_id": f"streamer-backfill-{NEW}",
        "events_topic": NEW,
        "segments_topic": f"{NEW}-segments",
        "current_topic": f"{NEW}-current",
        "dlq_topic": f"{NEW}-dlq",
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in named.items()]
    cut.write_text("\n".join([Path(worker).read_text(), *lines]))
    tour.start("c", "run", "--config", str(cut), "--http-port", "0").until_it_says("assigned")
    devices.process.send_signal(signal.SIGINT)
    devices.ends(0, 120)
    for name in ("a", "b", "c"):
        tour.stop(name)
    for config in (worker, str(cut)):
        tour.streamer("run", "--until-end", "--config", config)

    tour.step("each window was published once, with the same bytes in both topics")
    compared = json.loads(
        tour.streamer("events", "compare", NEW, "--json", "--config", tour.config("reader"))
    )
    assert compared["equal"] > DEVICES * 20
    for topic in (settings.events_topic, NEW):
        there = settings.model_copy(update={"events_topic": topic})
        windows = [event.window_id for event in asyncio.run(read_events(there))]
        assert len(windows) == len(set(windows)) == compared["equal"]


def _secret(printed: list[str]) -> str:
    [found] = [line.removeprefix("token: ") for line in printed if line.startswith("token: ")]
    return found


def _line(printed: list[str]) -> str:
    """Return the line for the file of the gateway."""
    [found] = [line for line in printed if not line.startswith("token: ")]
    return found
