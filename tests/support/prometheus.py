"""A real Prometheus that scrapes workers and evaluates the alerts of `deploy/prometheus`."""

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.support.processes import until

ALERTS: Final = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"

SHORTER: Final = 30
"""How many times shorter the times of the alerts are in a test: ten minutes are 20 seconds."""

_OFTEN: Final = "500ms"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RANGE: Final = re.compile(r"(?<=[\[ ])(\d+)([smhd])(?=\]|\b)")


def shorten(text: str, times: int) -> str:
    """Return a duration or an expression with all durations shorter, at least two seconds."""
    return _RANGE.sub(
        lambda found: f"{max(2, int(found[1]) * _UNITS[found[2]] // times)}s", f" {text}"
    ).strip()


def shortened_alerts(times: int) -> dict[str, Any]:
    """Return the alerts with shorter times; their expressions are otherwise the same."""
    rules: dict[str, Any] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = shorten(rule["expr"], times)
            if "for" in rule:
                rule["for"] = shorten(rule["for"], times)
    return rules


class Prometheus:
    """A Prometheus that runs."""

    def __init__(self, url: str, config: Path) -> None:
        self.url = url
        self._config = config

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression: each has `metric`, its labels, and `value`."""
        asked = urllib.parse.urlencode({"query": expression})
        result: list[dict[str, Any]] = self._get(f"query?{asked}")["result"]
        return result

    def query_range(self, expression: str, seconds: float, step_s: float) -> list[dict[str, Any]]:
        """Return the series of an expression until now: `metric`, and `values` as (time, text)."""
        now = time.time()
        asked = urllib.parse.urlencode(
            {"query": expression, "start": now - seconds, "end": now, "step": step_s}
        )
        result: list[dict[str, Any]] = self._get(f"query_range?{asked}")["result"]
        return result

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = self._get("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def until_scraped(self, number: int) -> None:
        """Wait until so many targets answer."""
        until(lambda: len(self.query("up == 1")) == number)

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=30) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
        return data


@contextmanager
def running_prometheus(
    folder: Path,
    urls: Sequence[str],
    times_shorter: int = SHORTER,
    gateways: Sequence[str] = (),
    every: str = _OFTEN,
    **scrape: Any,
) -> Iterator[Prometheus]:
    """Run Prometheus with the alerts, their times shorter, and the data in a folder.

    Args:
        folder: for its configuration, data and log.
        urls: of the workers, `http://host:port` or `https://host:port`.
        times_shorter: how many times shorter the times of the alerts are; 1 leaves them.
        gateways: their addresses, `http://host:port`.
        every: interval of scrapes and evaluations.
        scrape: further keys of the scrape configuration.
    """
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not on the PATH")
    schemes, targets = zip(*(url.split("://") for url in urls), strict=True)
    job = {
        "job_name": "streamer",
        "scheme": schemes[0],
        "static_configs": [{"targets": list(targets)}],
    }
    addresses = [url.removeprefix("http://") for url in gateways]
    job_of_gateways = {
        "job_name": "streamer-gateway",
        "static_configs": [{"targets": addresses}],
    }
    config = {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [job | scrape, job_of_gateways],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alerts.yml").write_text(
        yaml.safe_dump(shortened_alerts(times_shorter)), encoding="utf-8"
    )
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)

    def listens_at() -> str:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        said = log.read_text(encoding="utf-8")
        found = re.search(r"Listening on.*address=(\S+:[1-9]\d*)", said)
        return found[1] if found and "Server is ready" in said else ""

    try:
        until(lambda: bool(listens_at()))
        yield Prometheus(f"http://{listens_at()}", folder)
    finally:
        process.terminate()
        process.wait()
