"""Summarizes metrics of the workers for the live table: drift, and devices without labels."""

import asyncio
import math
from collections import Counter

from aiohttp import ClientError, ClientSession, ClientTimeout
from prometheus_client.parser import text_string_to_metric_families

from streamer.metrics import SLIGHT_DRIFT
from streamer.predict.drift import CONFIDENCE
from streamer.settings import Settings

DRIFT = "streamer_drift_psi"
UNLABELLED = "streamer_unlabelled_devices"
EVERY_S = 5.0
_PATIENCE = ClientTimeout(total=2)
_MOST = 2
"""How many series are named beside that of the confidence."""


class WorkerStatus:
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
                        page = await answer.text()
                        found = (summarize_unlabelled(page), summarize_drift(page))
                        self.words = "; ".join(filter(None, found))
                except (ClientError, TimeoutError, UnicodeDecodeError, ValueError):
                    self.words = ""
                await asyncio.sleep(EVERY_S)


def summarize_drift(page: str) -> str:
    """Return whether the confidence has drifted, and which other series of a page have most.

    The result is empty before there are enough windows. Features and labels change with the
    activities of people, so they alone are not called drift; the alert has the same rule.
    """
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        if family.name == DRIFT:
            for sample in family.samples:
                if not math.isnan(sample.value):
                    name = sample.labels["of"]
                    found[name] = max(found.get(name, 0.0), sample.value)
    if CONFIDENCE not in found:
        return ""
    confidence = found.pop(CONFIDENCE)
    if confidence < SLIGHT_DRIFT:
        return "no drift"
    most = sorted(found, key=lambda name: -found[name])[:_MOST]
    others = [f"{name} {found[name]:.2f}" for name in most if found[name] >= SLIGHT_DRIFT]
    return " · ".join([f"drift: {CONFIDENCE} {confidence:.2f}", *others])


def summarize_unlabelled(page: str) -> str:
    """Return how many devices of a metrics page have no label, and why; empty when all have one."""
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(page):
        if family.name == UNLABELLED:
            for sample in family.samples:
                found[sample.labels["reason"]] += int(sample.value)
    if not +found:
        return ""
    reasons = ", ".join(f"{reason} {count}" for reason, count in (+found).most_common())
    return f"devices without labels: {found.total()} ({reasons})"
