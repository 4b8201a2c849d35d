"""Takes other models while the worker runs, when their files have changed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from streamer.errors import ModelError, StreamerError
from streamer.features import FeatureSet
from streamer.metrics import Metrics
from streamer.predict.serving import Serving

log = structlog.get_logger(__name__)

TAKEN, REFUSED = "taken", "refused"

ReportTrouble = Callable[[str | None], None]
"""Takes the reason why other models were refused, or None when there is none any more."""

Stamp = tuple[int, int, int] | None
"""What changes when a file is written: its time, size and number; None without the file."""


@dataclass(frozen=True, slots=True)
class LoadedModels:
    """Models that can serve, and the features that they take."""

    serving: Serving
    feature_set: FeatureSet


Load = Callable[[], LoadedModels]
"""Loads the models from their files, checks them and asks them once.

Raises:
    StreamerError: they cannot be used.
"""


class WatchedModels:
    """The models in files: `serving` changes when a file holds another model.

    Reading, checking and warming up run in a thread. Models that cannot be used are refused, and
    those from before go on.

    Args:
        load: loads the models.
        paths: of their files.
        metrics: counts changes.
        report: is told why models were refused.
    """

    def __init__(
        self,
        load: Load,
        paths: Sequence[Path],
        metrics: Metrics,
        report: ReportTrouble,
    ) -> None:
        self._load = load
        self._paths = paths
        self._metrics = metrics
        self._report = report
        self._looking = asyncio.Lock()
        # Before loading: a file that is written meanwhile is looked at again.
        self._stamps = stamps(paths)
        first = load()
        self._feature_set = first.feature_set
        self.serving = first.serving

    async def watch(self, interval_s: float) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            await self.look()

    async def look(self) -> None:
        """Take other models if the files hold some that can be used."""
        async with self._looking:
            found = await asyncio.to_thread(stamps, self._paths)
            if found == self._stamps:
                return
            self._stamps = found
            try:
                loaded = await asyncio.to_thread(self._load)
                self._require_same_features(loaded)
            except StreamerError as error:
                self._refuse(str(error))
            except Exception as error:
                # A file that our code cannot cope with must not end the watch.
                log.exception("a model file cannot be read")
                self._refuse(repr(error))
            else:
                self._take(loaded.serving)

    def _require_same_features(self, loaded: LoadedModels) -> None:
        if loaded.feature_set != self._feature_set:
            raise ModelError(
                f"it takes the features {loaded.feature_set.name}, and this worker computes "
                f"{self._feature_set.name}; restart the workers to change to it"
            )

    def _take(self, serving: Serving) -> None:
        self._report(None)
        if serving.name == self.serving.name:
            return
        log.info("other models are taken", before=self.serving.name, now=serving.name)
        self._metrics.model_changes.labels(TAKEN).inc()
        self.serving = replace(serving, is_first=False)

    def _refuse(self, reason: str) -> None:
        log.error(
            "other models are refused, and those from before go on",
            models=self.serving.name,
            reason=reason,
        )
        self._metrics.model_changes.labels(REFUSED).inc()
        self._report(f"other models are refused, and {self.serving.name} goes on: {reason}")


def stamps(paths: Sequence[Path]) -> list[Stamp]:
    """Return the stamps of files."""
    return [_stamp(path) for path in paths]


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
