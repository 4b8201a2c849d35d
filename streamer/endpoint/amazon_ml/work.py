"""Connects the kinds of entities with what their jobs do."""

from collections.abc import Mapping

from streamer.endpoint.amazon_ml.batch_predictions import predict_batch
from streamer.endpoint.amazon_ml.data_sources import create_data_source
from streamer.endpoint.amazon_ml.jobs import Outcome, Work
from streamer.endpoint.amazon_ml.schema import InvalidDataError
from streamer.endpoint.amazon_ml.scorers import Scorer, ServedScorer
from streamer.endpoint.amazon_ml.store import Entity, EntityStore, Kind
from streamer.endpoint.served_model import ServedModel

THRESHOLD = 0.5


def make_work(store: EntityStore, served: ServedModel) -> Mapping[Kind, Work]:
    """Return what the job of each kind of entity does."""

    async def find_source(entity: Entity, parameter: str) -> Entity:
        found = await store.find("DataSource", entity.request[parameter])
        assert found is not None  # the job has checked it
        return found

    async def open_scorer(model_id: str) -> tuple[Scorer, float]:
        model = await store.find("MLModel", model_id)
        assert model is not None
        if model.document.get("Served"):
            return await ServedScorer.make(served), THRESHOLD
        raise InvalidDataError("this server trains no models")

    async def predict(entity: Entity) -> Outcome:
        source = await find_source(entity, "BatchPredictionDataSourceId")
        scorer, threshold = await open_scorer(entity.request["MLModelId"])
        return await predict_batch(entity, source, scorer, threshold)

    async def fail(_: Entity) -> Outcome:
        raise InvalidDataError("this server trains no models")

    return {
        "DataSource": create_data_source,
        "MLModel": fail,
        "Evaluation": fail,
        "BatchPrediction": predict,
    }
