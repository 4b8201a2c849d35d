"""Connects the kinds of entities with what their jobs do."""

from collections.abc import Mapping

from streamer.prediction_server.amazon_ml.batch_predictions import predict_batch
from streamer.prediction_server.amazon_ml.data_sources import create_data_source
from streamer.prediction_server.amazon_ml.evaluations import evaluate
from streamer.prediction_server.amazon_ml.jobs import Outcome, Work
from streamer.prediction_server.amazon_ml.models import create_model
from streamer.prediction_server.amazon_ml.scorers import ModelScorers
from streamer.prediction_server.amazon_ml.store import Entity, EntityStore, Kind


def make_work(store: EntityStore, scorers: ModelScorers) -> Mapping[Kind, Work]:
    """Return what the job of each kind of entity does."""

    async def find(kind: Kind, id: str) -> Entity:  # noqa: A002 - as the service says
        found = await store.find(kind, id)
        assert found is not None  # the job has checked it
        return found

    async def train(entity: Entity) -> Outcome:
        source = await find("DataSource", entity.request["TrainingDataSourceId"])
        return await create_model(entity, source)

    async def judge(entity: Entity) -> Outcome:
        source = await find("DataSource", entity.request["EvaluationDataSourceId"])
        model = await find("MLModel", entity.request["MLModelId"])
        scorer = await scorers.open(model)
        return await evaluate(source, scorer, model.document["MLModelType"])

    async def predict(entity: Entity) -> Outcome:
        source = await find("DataSource", entity.request["BatchPredictionDataSourceId"])
        model = await find("MLModel", entity.request["MLModelId"])
        return await predict_batch(entity, source, await scorers.open(model), model)

    return {
        "DataSource": create_data_source,
        "MLModel": train,
        "Evaluation": judge,
        "BatchPrediction": predict,
    }
