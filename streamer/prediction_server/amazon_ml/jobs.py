"""Runs the asynchronous part of each entity: PENDING, INPROGRESS, then COMPLETED or FAILED.

A job that did not end before the server did is done again when the server starts.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from streamer.prediction_server.amazon_ml.schema import InvalidDataError
from streamer.prediction_server.amazon_ml.store import Entity, EntityStore, Kind, StateError, now

log = structlog.get_logger(__name__)

AT_ONCE: Final = 2
"""Jobs that run at once."""
LONGEST_MESSAGE: Final = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job has made.

    Attributes:
        members: members of the document of its entity.
        content: content of the entity, such as the weights of a model.
    """

    members: dict[str, Any] = field(default_factory=dict)
    content: bytes | None = None


Work = Callable[[Entity], Awaitable[Outcome]]

_NEEDED: Final[Mapping[Kind, list[tuple[str, Kind]]]] = {
    "DataSource": [],
    "MLModel": [("TrainingDataSourceId", "DataSource")],
    "Evaluation": [("MLModelId", "MLModel"), ("EvaluationDataSourceId", "DataSource")],
    "BatchPrediction": [("MLModelId", "MLModel"), ("BatchPredictionDataSourceId", "DataSource")],
}


def list_needed(kind: Kind) -> list[tuple[str, Kind]]:
    """Return the parameters of requests for a kind that name other entities, and their kinds.

    These entities must be complete before the job of the new one runs.
    """
    return _NEEDED[kind]


class Jobs:
    """The jobs that wait or run."""

    def __init__(self, store: EntityStore, work: Mapping[Kind, Work]) -> None:
        """Args: the store of the entities, and what to do for each kind of them."""
        self._store = store
        self._work = work
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[tuple[Kind, str], asyncio.Task[None]] = {}

    async def resume(self) -> None:
        """Start all jobs that have not ended."""
        for entity in await self._store.list_unfinished():
            self.start(entity)

    def start(self, entity: Entity) -> None:
        """Start the job of an entity. Jobs that it needs must have been started before."""
        key = (entity.kind, entity.id)
        keys = [(kind, entity.request[name]) for name, kind in list_needed(entity.kind)]
        needed = [self._tasks[other] for other in keys if other in self._tasks]
        task = asyncio.create_task(self._run(entity, needed))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def cancel(self, entity: Entity) -> None:
        """Stop the job of an entity, if it runs."""
        if task := self._tasks.get((entity.kind, entity.id)):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def close(self) -> None:
        """Stop all jobs; they are done again after the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, entity: Entity, needed: list[asyncio.Task[None]]) -> None:
        if needed:
            await asyncio.wait(needed)
        async with self._turns:
            try:
                await self._work_on(entity)
            except StateError as error:
                log.error(
                    "a job cannot be recorded and is done again when the server is started again",
                    kind=entity.kind,
                    id=entity.id,
                    error=str(error),
                )

    async def _work_on(self, entity: Entity) -> None:
        await self._store.change(entity, Status="INPROGRESS", StartedAt=now())
        began_s = time.process_time()
        try:
            await self._check_needed(entity)
            outcome = await self._work[entity.kind](entity)
        except InvalidDataError as error:
            await self._fail(entity, str(error))
        except StateError:
            raise
        except Exception as error:
            log.exception("a job of Amazon ML has failed by a bug", id=entity.id)
            await self._fail(entity, f"internal failure: {type(error).__name__}: {error}")
        else:
            milliseconds = round((time.process_time() - began_s) * 1000)
            ended = {"Status": "COMPLETED", "FinishedAt": now(), "ComputeTime": milliseconds}
            await self._store.change(entity, outcome.content, **ended, **outcome.members)
            log.info("completed", kind=entity.kind, id=entity.id)

    async def _check_needed(self, entity: Entity) -> None:
        for parameter, kind in list_needed(entity.kind):
            name = entity.request[parameter]
            found = await self._store.find(kind, name)
            if found is None or found.status != "COMPLETED":
                status = found.status if found else "missing"
                reason = found.document.get("Message", "") if found else ""
                raise InvalidDataError(
                    f"the {kind} {name} is {status}{f': {reason}' if reason else ''}"
                )

    async def _fail(self, entity: Entity, message: str) -> None:
        log.warning("failed", kind=entity.kind, id=entity.id, message=message)
        await self._store.change(
            entity, Status="FAILED", FinishedAt=now(), Message=message[:LONGEST_MESSAGE]
        )
