"""Creates, shows, renames, deletes and tags entities; the same for all kinds of them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from streamer.prediction_server.amazon_ml.creation_requests import check_creation
from streamer.prediction_server.amazon_ml.jobs import Jobs, list_needed
from streamer.prediction_server.amazon_ml.protocol import AmazonMLError, invalid_input, not_found
from streamer.prediction_server.amazon_ml.schema import InvalidDataError
from streamer.prediction_server.amazon_ml.store import Entity, EntityStore, Kind, now

OWNER: Final = "arn:aws:iam::000000000000:root"
"""Who creates everything: the server knows no accounts."""
MOST_TAGS: Final = 10
MOST_NAMED: Final = 5
"""Ids that an error message names."""


@dataclass(frozen=True, slots=True)
class KindNames:
    """How the parameters of a kind are called."""

    id: str
    name: str


NAMES: Final[Mapping[Kind, KindNames]] = {
    "DataSource": KindNames("DataSourceId", "DataSourceName"),
    "MLModel": KindNames("MLModelId", "MLModelName"),
    "Evaluation": KindNames("EvaluationId", "EvaluationName"),
    "BatchPrediction": KindNames("BatchPredictionId", "BatchPredictionName"),
}


class Entities:
    """The entities of a server."""

    def __init__(self, store: EntityStore, jobs: Jobs) -> None:
        self._store = store
        self._jobs = jobs
        self._creating = asyncio.Lock()

    async def create(self, kind: Kind, request: dict[str, Any]) -> dict[str, Any]:
        """Create an entity and start its job. The same request again changes nothing.

        Raises:
            AmazonMLError: the request is not valid, or the id belongs to another request.
        """
        names = NAMES[kind]
        id = request[names.id]  # noqa: A001 - as the service says
        async with self._creating:
            known = await self._store.find(kind, id)
            # The id of a deleted entity may be used again.
            if known and known.status != "DELETED":
                if known.request != request:
                    raise AmazonMLError(
                        "IdempotentParameterMismatchException",
                        f"the {kind} {id} exists and was created with other parameters",
                    )
                return {names.id: id}
            document = {
                names.id: id,
                "Name": request.get(names.name, ""),
                "Status": "PENDING",
                "CreatedByIamUser": OWNER,
                "CreatedAt": now(),
                "LastUpdatedAt": now(),
            } | await self._check(kind, request)
            entity = Entity(kind, id, request, document)
            await self._store.add(entity)
            self._jobs.start(entity)
        return {names.id: id}

    async def find(self, kind: Kind, id: str) -> Entity:  # noqa: A002 - as the service says
        """Return an entity.

        Raises:
            AmazonMLError: there is none with this id.
        """
        if entity := await self._store.find(kind, id):
            return entity
        known = await self._store.list_ids(kind, MOST_NAMED)
        there = f"there is {', '.join(map(repr, known))}" if known else "there is none"
        raise not_found(f"no {kind} {id!r} here; {there}")

    async def rename(self, kind: Kind, question: dict[str, Any]) -> dict[str, Any]:
        """Change the name of an entity, and the score threshold of a model."""
        names = NAMES[kind]
        entity = await self._find_usable(kind, question[names.id])
        changes: dict[str, Any] = {}
        if names.name in question:
            changes["Name"] = question[names.name]
        if "ScoreThreshold" in question:
            changes["ScoreThreshold"] = question["ScoreThreshold"]
            changes["ScoreThresholdLastUpdatedAt"] = now()
        await self._store.change(entity, **changes)
        return {names.id: entity.id}

    async def delete(self, kind: Kind, question: dict[str, Any]) -> dict[str, Any]:
        """Give an entity the status DELETED, and stop its job."""
        names = NAMES[kind]
        entity = await self._find_usable(kind, question[names.id])
        if entity.document.get("EndpointInfo", {}).get("EndpointStatus") == "READY":
            raise invalid_input(
                f"the {kind} {entity.id} has a real-time endpoint; delete the endpoint first"
            )
        # The status first: a job that ends now cannot change it.
        await self._store.change(entity, b"", Status="DELETED")
        await self._jobs.cancel(entity)
        return {names.id: entity.id}

    async def add_tags(self, question: dict[str, Any]) -> dict[str, Any]:
        """Add tags to an entity, or change their values."""
        entity = await self._find_usable(question["ResourceType"], question["ResourceId"])
        tags = {tag["Key"]: tag.get("Value", "") for tag in question["Tags"] if "Key" in tag}
        if len(entity.document.get("Tags", {}) | tags) > MOST_TAGS:
            raise AmazonMLError("TagLimitExceededException", f"an entity may have {MOST_TAGS} tags")
        if reserved := [key for key in tags if key.lower().startswith("aws:")]:
            raise AmazonMLError("InvalidTagException", f"the tag {reserved[0]!r} is reserved")
        await self._store.change(entity, Tags=tags)
        return {name: question[name] for name in ("ResourceId", "ResourceType")}

    async def delete_tags(self, question: dict[str, Any]) -> dict[str, Any]:
        """Remove tags of an entity; those that it does not have are ignored."""
        entity = await self._find_usable(question["ResourceType"], question["ResourceId"])
        await self._store.change(entity, Tags=dict.fromkeys(question["TagKeys"]))
        return {name: question[name] for name in ("ResourceId", "ResourceType")}

    async def describe_tags(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the tags of an entity."""
        entity = await self.find(question["ResourceType"], question["ResourceId"])
        tags = entity.document.get("Tags", {})
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        return {name: question[name] for name in ("ResourceId", "ResourceType")} | {"Tags": listed}

    async def _find_usable(self, kind: Kind, id: str) -> Entity:  # noqa: A002
        entity = await self.find(kind, id)
        if entity.status == "DELETED":
            raise not_found(f"the {kind} {id} was deleted")
        return entity

    async def _check(self, kind: Kind, request: dict[str, Any]) -> dict[str, Any]:
        """Check the request for a new entity; return the members that it gives the entity."""
        needed = {}
        for parameter, other_kind in list_needed(kind):
            needed[parameter] = await self._find_needed(other_kind, request[parameter])
        try:
            return check_creation(kind, request, needed)
        except InvalidDataError as error:
            raise invalid_input(str(error)) from None

    async def _find_needed(self, kind: Kind, id: str) -> Entity:  # noqa: A002
        # The operations that create have no ResourceNotFoundException.
        entity = await self._store.find(kind, id)
        if entity is None or entity.status in {"FAILED", "DELETED"}:
            status = entity.status if entity else "missing"
            raise invalid_input(f"the {kind} {id} is {status}; it cannot be used")
        return entity
