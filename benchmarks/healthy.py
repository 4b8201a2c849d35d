"""Runs a healthy fleet for an hour, and fails if any alert was pending or fired.

    python benchmarks/healthy.py [--minutes 60] [--devices 12] [--phones 4]

A broker, two workers, simulated devices, phones that post to a gateway, and a Prometheus with the
alerts of `deploy/prometheus` as they are. It needs `prometheus` on the PATH.
"""

import contextlib
import json
import re
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

from streamer.contracts.encode import encode
from streamer.localkafka.broker import LocalKafka
from streamer.publishing.people import RATE_HZ, Person
from streamer.settings import TOPIC_SETTINGS, Settings
from tests.support.processes import until
from tests.support.prometheus import Prometheus, running_prometheus
from tests.support.worker_process import Process, run, where

EVERY = "5s"
"""Of scrapes and evaluations, as in `deploy/prometheus/prometheus.yml`."""

_EVER = "sum by (alertname, alertstate) (count_over_time(ALERTS[1d]))"


@click.command()
@click.option("--minutes", default=60.0, show_default=True)
@click.option("--devices", default=12, show_default=True, help="That publish to Kafka.")
@click.option("--phones", default=4, show_default=True, help="That post to the gateway.")
@click.option("--folder", type=Path, help="For logs and the data of Prometheus; it is kept.")
def main(minutes: float, devices: int, phones: int, folder: Path | None) -> None:
    """Print a line for each alert when it begins, and figures at the end; exit code 1 if any."""
    with contextlib.ExitStack() as stack:
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        kafka = stack.enter_context(LocalKafka())
        settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers})
        workers = [
            stack.enter_context(run(settings, folder / f"worker-{number}.log")) for number in (1, 2)
        ]
        gateway = stack.enter_context(running_gateway(settings, folder / "gateway.log"))
        for worker in workers:
            worker.until_ready()
        stack.enter_context(simulated(settings, devices, folder / "simulate.log"))
        stack.enter_context(posting(gateway, phones))
        prometheus = stack.enter_context(
            running_prometheus(
                folder / "prometheus",
                [worker.url for worker in workers],
                times_shorter=1,
                gateways=[gateway],
                every=EVERY,
            )
        )
        prometheus.until_scraped(3)
        click.echo(f"all is running; look at {prometheus.url} for {minutes:g} minutes", err=True)
        alerts = watch(prometheus, minutes * 60)
        for worker in workers:
            assert worker.process.poll() is None, worker.said
        click.echo(json.dumps(figures(prometheus, minutes, alerts)))
    if alerts:
        raise click.ClickException(f"there were alerts: {', '.join(sorted(alerts))}")


@contextlib.contextmanager
def running_gateway(settings: Settings, log: Path) -> Iterator[str]:
    """Run a gateway in a process of its own; yields its address."""
    names = ("readings_topic", "events_topic", "group_id")
    gateway = Process(log, "gateway", *where(settings, *names), "--gateway-port", "0")
    try:
        gateway.until_it_says("the gateway listens")
        found = re.search(r"the gateway listens.*port=(\d+)", gateway.said)
        assert found, gateway.said
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        gateway.process.kill()
        gateway.process.wait()


@contextlib.contextmanager
def simulated(settings: Settings, devices: int, log: Path) -> Iterator[None]:
    """Let simulated devices publish to Kafka in real time."""
    topics = where(settings, *TOPIC_SETTINGS)
    publisher = Process(log, "simulate", *topics, "--devices", str(devices), "--batch", "10")
    try:
        yield
        assert publisher.process.poll() is None, publisher.said
    finally:
        publisher.process.kill()
        publisher.process.wait()


@contextlib.contextmanager
def posting(gateway: str, phones: int) -> Iterator[None]:
    """Let phones post a second of samples each second, one after the other."""
    ended = threading.Event()
    # Seeds below 1,000 are those of `simulate`.
    people = {f"posting-{number}": Person(1000 + number) for number in range(phones)}

    def post() -> None:
        at_ms = time.time() * 1000 - 1000
        while not ended.wait(max(0.0, at_ms / 1000 + 1 - time.time())):
            for name, person in people.items():
                body = encode(name, round(at_ms), 20, person.take(RATE_HZ)[0])[1]
                request = urllib.request.Request(f"{gateway}/readings/{name}", body)
                with urllib.request.urlopen(request, timeout=60) as answer:
                    answer.read()
            at_ms += 1000

    def is_ready() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{gateway}/readyz") as answer:
            return bool(answer.status == 200)
        return False

    until(is_ready)
    thread = threading.Thread(target=post, daemon=True)
    thread.start()
    try:
        yield
        assert thread.is_alive(), "the phones have stopped posting"
    finally:
        ended.set()
        thread.join()


def watch(prometheus: Prometheus, seconds: float) -> dict[str, str]:
    """Return the alerts that began, `pending` or `firing`; says each when it begins."""
    seen: dict[str, str] = {}
    began_s = time.monotonic()
    while time.monotonic() < began_s + seconds:
        time.sleep(5)
        for series in prometheus.query(_EVER):
            name, state = series["metric"]["alertname"], series["metric"]["alertstate"]
            if seen.get(name) not in (state, "firing"):
                seen[name] = state
                minute = (time.monotonic() - began_s) / 60
                for alert in prometheus.query(f'ALERTS{{alertname="{name}"}}'):
                    click.echo(f"minute {minute:.1f}: {name} is {state}: {alert}", err=True)
    return seen


def figures(prometheus: Prometheus, minutes: float, alerts: dict[str, str]) -> dict[str, object]:
    """Return what has run, so that an hour in which nothing ran is not called healthy."""

    def number(expression: str) -> float:
        [series] = prometheus.query(expression)
        return round(float(series["value"][1]), 3)

    whole = f"[{round(minutes * 60)}s]"
    ages = f"sum by (le) (rate(streamer_label_age_seconds_bucket{whole}))"
    return {
        "benchmark": "healthy",
        "minutes": minutes,
        "labels": number(f"sum(increase(streamer_events_total{whole}))"),
        "posted_samples": number(f"sum(increase(streamer_gateway_samples_total{whole}))"),
        "devices": number("sum(streamer_devices)"),
        "worst_lag_s": number(f"max(max_over_time(streamer_worst_lag_seconds{whole}))"),
        "age_of_labels_p99_s": number(f"histogram_quantile(0.99, {ages})"),
        "alerts": alerts,
    }


if __name__ == "__main__":
    main()
