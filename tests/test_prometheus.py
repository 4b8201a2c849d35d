"""A real Prometheus, a real broker and a live worker: panels show data, and no alert fires."""

import asyncio
import json
import math
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streamer.settings import GatewaySettings
from tests.conftest import MakeSettings
from tests.support.gateway import reading, running_gateway
from tests.support.processes import until
from tests.support.prometheus import Prometheus, running_prometheus
from tests.support.worker_process import run, simulate

BOARD = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards" / "streamer.json"

ONLY_IN_TROUBLE = {
    "streamer_certificate_expiry_seconds": "the worker uses no certificate",
    "streamer_gateway_unreadable_total": "the gateway could read everything",
    "streamer_implausible_windows_total": "no device sends other units",
    "streamer_unlabelled_devices": "all devices have labels",
    "streamer_position_resets_total": "the group had no position to disagree with",
    "streamer_records_lost_total": "nothing was deleted",
    "streamer_recovery_remaining_records": "the group had nothing to recover",
    "streamer_shadow_agreement_total": "there is no second model",
}
"""Metrics without any series while a worker is well and has one model."""

NEEDS_MORE = {
    "streamer_drift_psi": "500 windows",
    "streamer_endpoint_call_seconds_bucket": "an endpoint",
    "streamer_sensor_delay_seconds_bucket": "devices with a wrong clock",
    "streamer_shadow_agreement_total": "a second model",
}
"""Metrics whose series may be NaN here, because they need something that there is not."""


def panels() -> Iterator[tuple[str, str]]:
    """Titles and expressions of all panels, as Grafana asks for all workers."""
    for panel in json.loads(BOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", []):
            expression = re.sub(r"\$(instance|worker)", ".*", target["expr"])
            yield panel["title"], expression.replace("$__rate_interval", "10m")


def variables() -> dict[str, str]:
    """The expressions of the series from which the variables take their values."""
    listed = json.loads(BOARD.read_text(encoding="utf-8"))["templating"]["list"]
    series = {each["name"]: each["definition"] for each in listed}
    return {
        name: re.sub(r"\$\w+", ".*", re.sub(r"label_values\((.*), \w+\)", r"\1", definition))
        for name, definition in series.items()
    }


def value_of(series: dict[str, Any]) -> float:
    return float(series["value"][1])


def lacking(prometheus: Prometheus) -> list[str]:
    """The panels without data, or without a number."""
    found = []
    for title, expression in panels():
        used = set(re.findall(r"streamer_\w+", expression))
        series = prometheus.query(expression)
        if not series and not used & set(ONLY_IN_TROUBLE):
            found.append(f"{title}: no data of {expression}")
        no_number = series and all(math.isnan(value_of(each)) for each in series)
        if no_number and not used & set(NEEDS_MORE):
            found.append(f"{title}: no number of {expression}")
    return found


async def test_every_panel_shows_data_of_a_live_worker_and_no_alert_fires(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(partitions=2)
    own = ("bootstrap_servers", "readings_topic", "events_topic", "group_id", "partitions")
    of_gateway = {name: getattr(settings, name) for name in own}

    def look(gateway: str) -> None:
        with run(settings, tmp_path / "worker.log") as worker:
            worker.until_ready()
            with running_prometheus(
                tmp_path / "prometheus", [worker.url], 1, gateways=[gateway], every="2s"
            ) as prometheus:
                prometheus.until_scraped(2)
                urllib.request.urlopen(f"{gateway}/readings/posting", reading("posting")).close()
                simulate(settings, "--devices", "4", "--duration", "5", "--batch", "10")
                until(lambda: not lacking(prometheus))
                assert lacking(prometheus) == []
                for expression in variables().values():
                    [series] = prometheus.query(expression)
                    assert series["metric"]["group"] == settings.group_id
                    assert series["metric"]["topic"] == settings.readings_topic
                [age] = prometheus.query(dict(panels())["Age of labels"])
                assert 0 < value_of(age) < 3600
                delays = [each for title, each in panels() if title == "Delay of a label by stage"]
                shown = {stage for each in delays for stage in re.findall('stage="([^"]+)"', each)}
                stages = prometheus.query("streamer_label_delay_seconds_count")
                assert {each["metric"]["stage"] for each in stages} == shown
                assert prometheus.firing() == set()

    async with running_gateway(
        GatewaySettings.load(of_gateway | {"gateway_port": 0}, None)
    ) as gateway:
        await asyncio.to_thread(look, f"http://127.0.0.1:{gateway.port}")
