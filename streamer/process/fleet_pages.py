"""The pages of several workers as those of one: health, readiness, and metrics by worker."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from streamer.process.http import UNLABELLED
from streamer.process.worker_process import ANSWER_S, WorkerProcess

METRICS_S = 3.0
"""Time in which a worker must answer `/metrics`."""


class FleetPages:
    """The pages of all workers, put together."""

    def __init__(self, members: Sequence[WorkerProcess]) -> None:
        self._members = members

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics of the workers that answer, with the label `worker`."""
        registry = CollectorRegistry()
        registry.register(_MergedMetrics(await self._pages("metrics", METRICS_S)))
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    async def trouble(self) -> str | None:
        """Return the troubles of all workers; None when there are none."""
        return await self._join("healthz", "trouble")

    async def why_not_ready(self) -> str | None:
        """Return why workers are not ready; None when all are."""
        return await self._join("readyz", "reason")

    async def unlabelled(self) -> Mapping[str, int]:
        """Return how many devices have no label, by reason, of the workers that answer."""
        answers = await self._pages("healthz", ANSWER_S)
        counts = (Counter(json.loads(answer)[UNLABELLED]) for answer in answers if answer)
        return sum(counts, Counter[str]())

    async def _join(self, page: str, field: str) -> str | None:
        answers = await self._pages(page, ANSWER_S)
        said = [
            f"worker {number}: {json.loads(answer)[field] if answer else 'does not answer'}"
            for number, answer in enumerate(answers)
            if not answer or json.loads(answer)[field]
        ]
        return "; ".join(said) or None

    async def _pages(self, name: str, patience_s: float) -> list[str]:
        """Return a page of each worker; empty for a worker that does not answer."""
        return await asyncio.gather(*(member.page(name, patience_s) for member in self._members))


class _MergedMetrics(Collector):
    """Metrics of several pages, distinguished by a label."""

    def __init__(self, pages: Sequence[str]) -> None:
        self._pages = pages

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for number, page in enumerate(self._pages):
            for family in text_string_to_metric_families(page):
                whole = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {"worker": str(number), **sample.labels}
                    whole.add_sample(sample.name, labels, sample.value)
        yield from families.values()
