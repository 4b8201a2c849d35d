"""Creates models: trains them on a data source, and keeps their weights."""

import asyncio
import threading
from typing import Any

from streamer.prediction_server.amazon_ml.jobs import Outcome
from streamer.prediction_server.amazon_ml.linear_model import LinearModel
from streamer.prediction_server.amazon_ml.objects import ObjectStorage, open_object_storage
from streamer.prediction_server.amazon_ml.recipe import DEFAULT
from streamer.prediction_server.amazon_ml.records import open_records
from streamer.prediction_server.amazon_ml.store import Entity
from streamer.prediction_server.amazon_ml.training import TrainingParameters, train


async def create_model(model: Entity, source: Entity) -> Outcome:
    """Train a model on a data source.

    Raises:
        InvalidDataError: the data or the recipe do not suit the kind of model.
    """
    async with open_object_storage() as storage, open_records(source, storage) as records:
        recipe = await _read_recipe(model.request, storage)
        parameters = TrainingParameters.parse(model.request.get("Parameters", {}))
        stop = threading.Event()
        kind = model.request["MLModelType"]
        training = asyncio.to_thread(train, records, kind, recipe, parameters, stop)
        try:
            trained: LinearModel = await training
        finally:
            # A thread cannot be cancelled; it looks at this between chunks.
            stop.set()
    content = trained.dump()
    members: dict[str, Any] = {
        "SizeInBytes": len(content),
        "Recipe": recipe,
        "Schema": records.schema_text,
    }
    return Outcome(members, content)


async def _read_recipe(request: dict[str, Any], storage: ObjectStorage) -> str:
    if "RecipeUri" in request:
        return (await storage.read(request["RecipeUri"])).decode(errors="replace")
    recipe: str = request.get("Recipe", DEFAULT)
    return recipe
