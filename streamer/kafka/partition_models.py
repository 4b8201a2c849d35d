"""Lets a partition change to other models at a named record."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import structlog

from streamer.errors import CanaryError
from streamer.flow.partition_state import PartitionState
from streamer.metrics import Metrics
from streamer.predict.models import Models
from streamer.predict.serving import Serving, find_withdrawn
from streamer.stream.position import Position

log = structlog.get_logger(__name__)

LOOK_S: Final = 5.0
"""How long taking a partition over waits for a look at the registry."""


class PartitionModels:
    """The models that decide in one partition.

    A change takes effect with the next fetch::

        fetches      | A decides | A decides | B decides | B decides
        positions                |           |           | `B` from the first record of the third

    The position of a fetch names the models that have decided it, and both are committed in one
    transaction. So the log and the committed positions say which models decided each event.
    """

    def __init__(self, models: Models, metrics: Metrics, topic: str, partition: int) -> None:
        self._models = models
        self._metrics = metrics
        self._partition = partition
        self._name = f"{topic}[{partition}]"

    async def look(self, position: Position) -> None:
        """Look for other models if those of the position are not the ones that serve here.

        Called when the partition is taken over. A canary that another worker has rolled back in the
        partition is rolled back here too.
        """
        if position.models in ("", self._models.serving.name):
            return
        if withdrawn := find_withdrawn(position.models):
            reason = f"another worker has rolled it back, as the position of {self._name} says"
            self._models.withdraw_canary(withdrawn, reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                # A look that takes longer goes on: the next fetch sees what it has found.
                await asyncio.shield(self._models.look())
        if position.models != (now := self._models.serving.name):
            log.warning(
                "the previous owner of the partition had other models, which are not here; if this "
                "is not on purpose, give all workers the same files",
                partition=self._name,
                before=position.models,
                now=now,
            )

    def chooser(self, state: PartitionState) -> Callable[[], Serving]:
        """Return the function that `flow` calls before each fetch.

        The models with which the worker has started are not named in positions as long as they
        have not changed.
        """
        last: Serving | None = None

        def choose() -> Serving:
            nonlocal last
            serving = self._models.serving
            if serving is not last:
                self._change(state, serving)
                last = serving
            return serving

        return choose

    def withdraw_canary(self, error: CanaryError) -> None:
        """Roll back a canary that has failed."""
        self._models.withdraw_canary(error.canary, error.reason)

    def _change(self, state: PartitionState, serving: Serving) -> None:
        before, offset = state.position.models, state.position.next
        if before != serving.name and (before or not serving.is_first):
            state.decided_by(serving.name)
            log.info(
                "other models decide from this record on",
                partition=self._name,
                offset=offset,
                before=before or "those of the start",
                now=serving.name,
            )
        self._metrics.show_models(self._partition, serving.name)
