"""The models of a worker while it runs: takes others when their source has changed."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import structlog

from streamer.contracts.events import ActivityEvent
from streamer.errors import ModelError, StorageError, StreamerError
from streamer.features import FeatureSet
from streamer.health import Health
from streamer.metrics import Metrics
from streamer.predict.serving import Serving

log = structlog.get_logger(__name__)

TAKEN, REFUSED = "taken", "refused"


@dataclass(frozen=True, slots=True)
class LoadedModels:
    """Models that can serve, and the features that they take."""

    serving: Serving
    feature_set: FeatureSet


Load = Callable[[], LoadedModels]
"""Loads the models, checks them and asks them once. Runs in a thread.

Raises:
    StreamerError: they cannot be used.
"""

Stamp = Callable[[], Hashable]
"""Returns something that changes when the models do. Runs in a thread.

Raises:
    StreamerError: it cannot be found out.
"""


class Models:
    """The models of a worker.

    `serving` changes when the stamp does. Models that cannot be used are refused, and those from
    before go on. A partition changes to what serves then between two fetches.

    Args:
        load: loads the models; the first time, now.
        stamp: of the models; without it they never change.
        metrics: counts changes.
        health: is told what was refused or rolled back.
    """

    def __init__(
        self, load: Load, metrics: Metrics, health: Health, stamp: Stamp = lambda: None
    ) -> None:
        self._load = load
        self._stamp = stamp
        self._metrics = metrics
        self._health = health
        self._looking = asyncio.Lock()
        self._withdrawn: set[str] = set()
        # Before loading: what is written meanwhile is looked at again.
        self._seen: Hashable = stamp()
        first = load()
        self.feature_set = first.feature_set
        self.serving = first.serving

    async def watch(self, interval_s: float) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            await self.look()

    async def look(self) -> None:
        """Take other models now if there are some that can be used."""
        async with self._looking:
            found = await asyncio.to_thread(self._stamp_or_trouble)
            if found == self._seen:
                return
            try:
                loaded = await asyncio.to_thread(self._load)
                self._require_same_features(loaded)
            except StorageError as error:
                # The next look tries again: a folder or a bucket may fail for a moment.
                self._refuse(str(error))
                found = object()
            except StreamerError as error:
                self._refuse(str(error))
            except Exception as error:
                # A file that our code cannot cope with must not end the watch.
                log.exception("a model cannot be loaded")
                self._refuse(repr(error))
            else:
                self._take(loaded.serving)
            # Only now: a look that is cancelled while it loads has not seen these models.
            self._seen = found

    def record_events(self, events: Sequence[ActivityEvent]) -> None:
        """Let the rule of the canary judge events that were labelled."""
        canary = self.serving.canary
        if canary is not None and events and (reason := canary.count_events(events)):
            self.withdraw_canary(canary.name, reason)

    def withdraw_canary(self, name: str, reason: str) -> None:
        """Roll a canary back. It does not come back before it is another model."""
        self._withdrawn.add(name)
        canary = self.serving.canary
        if canary is None or canary.name != name:
            return
        log.error("the canary is rolled back", canary=name, reason=reason)
        self._metrics.canary_rollbacks.inc()
        self._health.canary_trouble = f"the canary {name} was rolled back: {reason}"
        self.serving = self.serving.without_canary()

    def _stamp_or_trouble(self) -> Hashable:
        try:
            return self._stamp()
        except StreamerError as error:
            return str(error)

    def _require_same_features(self, loaded: LoadedModels) -> None:
        if loaded.feature_set != self.feature_set:
            raise ModelError(
                f"it takes the features {loaded.feature_set.name}, and this worker computes "
                f"{self.feature_set.name}; restart the workers to change to it"
            )

    def _take(self, serving: Serving) -> None:
        self._health.model_trouble = None
        if serving.canary is not None and serving.canary.name in self._withdrawn:
            serving = serving.without_canary()
        if serving.name == self.serving.name:
            return
        log.info("other models are taken", before=self.serving.name, now=serving.name)
        self._metrics.model_changes.labels(TAKEN).inc()
        self.serving = replace(serving, is_first=False)
        if not serving.withdrawn:
            self._health.canary_trouble = None

    def _refuse(self, reason: str) -> None:
        """Report that models cannot be used, once as long as the reason stays the same."""
        name = self.serving.name
        trouble = f"other models are refused, and {name} goes on: {reason}"
        if trouble == self._health.model_trouble:
            return
        log.error(
            "other models are refused, and those from before go on", models=name, reason=reason
        )
        self._metrics.model_changes.labels(REFUSED).inc()
        self._health.model_trouble = trouble
