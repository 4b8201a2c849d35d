"""Summarizes the drift metrics of the workers for the live table."""

import asyncio
import math

from aiohttp import ClientError, ClientSession, ClientTimeout
from prometheus_client.parser import text_string_to_metric_families

from streamer.settings import Settings

METRIC = "streamer_drift_psi"
NOTICEABLE = 0.1
EVERY_S = 5.0
_PATIENCE = ClientTimeout(total=2)
_MOST = 3


class DriftStatus:
    """Reads the metrics page at `http_host` and `http_port` at intervals."""

    def __init__(self, settings: Settings) -> None:
        self._url = f"http://{settings.http_host}:{settings.http_port}/metrics"
        self.words = ""
        """The summary; empty if no worker answers or the worker has too few windows."""

    async def poll(self) -> None:
        """Keep `words` current until cancelled."""
        async with ClientSession(timeout=_PATIENCE) as session:
            while True:
                try:
                    async with session.get(self._url) as answer:
                        self.words = summarize_drift(await answer.text())
                except (ClientError, TimeoutError, UnicodeDecodeError, ValueError):
                    self.words = ""
                await asyncio.sleep(EVERY_S)


def summarize_drift(page: str) -> str:
    """Return which figure of a metrics page differs most from the training data."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        if family.name == METRIC:
            for sample in family.samples:
                if not math.isnan(sample.value):
                    name = sample.labels["of"]
                    found[name] = max(found.get(name, 0.0), sample.value)
    if not found:
        return ""
    most = sorted(found, key=lambda name: -found[name])[:_MOST]
    drifted = [f"{name} {found[name]:.2f}" for name in most if found[name] >= NOTICEABLE]
    return f"drift: {' · '.join(drifted)}" if drifted else "no drift"
