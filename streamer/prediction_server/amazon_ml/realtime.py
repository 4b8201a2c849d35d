"""Answers real-time predictions, and mounts and unmounts the models for them."""

from typing import Any

import numpy as np
from aiohttp import web

from streamer.arrays import Floats
from streamer.datasets.feature_table import VARIABLES
from streamer.predict.quotas import AMAZON_ML_CALLS_PER_S, AMAZON_ML_RECORD_BYTES
from streamer.prediction_server.amazon_ml.creation_requests import NO_ENDPOINT
from streamer.prediction_server.amazon_ml.entities import Entities
from streamer.prediction_server.amazon_ml.protocol import AmazonMLError, invalid_input, not_found
from streamer.prediction_server.amazon_ml.scorers import ModelScorers, read_threshold
from streamer.prediction_server.amazon_ml.store import Entity, EntityStore, now
from streamer.prediction_server.endpoint_faults import EndpointFaults
from streamer.prediction_server.served_model import BadInputError, ServedModel, keep_activities


class RealtimePredictions:
    """The real-time endpoints of the models."""

    def __init__(
        self,
        served: ServedModel,
        scorers: ModelScorers,
        faults: EndpointFaults,
        store: EntityStore,
        entities: Entities,
    ) -> None:
        self._served = served
        self._scorers = scorers
        self._faults = faults
        self._store = store
        self._entities = entities

    async def predict(self, request: web.Request, question: dict[str, Any]) -> dict[str, Any]:
        """Answer a prediction.

        Raises:
            AmazonMLError: there is no such model, or its endpoint does not exist.
            BadInputError: the record is not one of the model.
            QuotaExceededError, InjectedError, InjectedAnswerError: a fault is due.
        """
        model_id = question.get("MLModelId")
        record = question.get("Record")
        if not isinstance(record, dict):
            raise invalid_input("Record is missing")
        _check_size(record)
        if model_id == self._served.id:
            await self._faults.inject(request, AMAZON_ML_CALLS_PER_S)
            return {"Prediction": await self._predict_with_served(record)}
        model = await self._find_model(question)
        if model.document["EndpointInfo"]["EndpointStatus"] != "READY":
            raise AmazonMLError(
                "PredictorNotMountedException", f"the model {model.id} has no real-time endpoint"
            )
        await self._faults.inject(request, AMAZON_ML_CALLS_PER_S)
        return {"Prediction": await self._predict_with_trained(model, record)}

    async def _predict_with_trained(self, model: Entity, record: dict[str, Any]) -> dict[str, Any]:
        scorer = await self._scorers.open(model)
        # A variable that is not in the record is a missing value.
        row = [str(record.get(name, "")) for name in scorer.variables]
        [scores], _ = await scorer.score(scorer.variables, [row])
        kind = model.document["MLModelType"]
        details = {"Algorithm": "SGD", "PredictiveModelType": kind}
        if kind == "REGRESSION":
            return {"predictedValue": float(scores[0]), "details": details}
        if kind == "BINARY":
            label = "1" if scores[0] >= read_threshold(model) else "0"
            shown = {label: float(scores[0])}
        else:
            label = scorer.labels[int(np.argmax(scores))]
            shown = dict(zip(scorer.labels, scores.tolist(), strict=True))
        return {"predictedLabel": label, "predictedScores": shown, "details": details}

    async def _predict_with_served(self, record: dict[str, Any]) -> dict[str, Any]:
        scored = await self._served.score(_read_record(record))
        prediction = self._faults.corrupt(keep_activities(scored, self._served.labels))
        [scores] = np.nan_to_num(prediction.scores, nan=-1).tolist()
        labels = prediction.model.labels
        return {
            "predictedLabel": labels[int(np.argmax(scores))],
            "predictedScores": dict(zip(labels, scores, strict=True)),
            "details": {"Algorithm": "SGD", "PredictiveModelType": "MULTICLASS"},
        }

    async def create_endpoint(self, question: dict[str, Any]) -> dict[str, Any]:
        """Mount a model; the same request again changes nothing."""
        model = await self._find_model(question)
        if model.document["EndpointInfo"]["EndpointStatus"] == "NONE":
            info = {
                "EndpointStatus": "READY",
                "PeakRequestsPerSecond": AMAZON_ML_CALLS_PER_S,
                "CreatedAt": now(),
            }
            await self._store.change(model, EndpointInfo=info)
            # As the service does it: clients must ask until the endpoint is ready.
            info = info | {"EndpointStatus": "UPDATING"}
        else:
            info = model.document["EndpointInfo"]
        return {"MLModelId": model.id, "RealtimeEndpointInfo": info}

    async def delete_endpoint(self, question: dict[str, Any]) -> dict[str, Any]:
        """Unmount a model."""
        model = await self._find_model(question)
        if model.document.get("Served"):
            raise invalid_input(
                f"the model {model.id} is served from a file; stop the server instead"
            )
        await self._store.change(model, EndpointInfo=NO_ENDPOINT | {"CreatedAt": None})
        return {"MLModelId": model.id, "RealtimeEndpointInfo": NO_ENDPOINT}

    async def _find_model(self, question: dict[str, Any]) -> Entity:
        model = await self._entities.find("MLModel", question["MLModelId"])
        if model.status == "DELETED":
            raise not_found(f"the model {model.id} was deleted")
        if model.status != "COMPLETED":
            raise invalid_input(f"the model {model.id} is {model.status}, not COMPLETED")
        return model


def describe_served(served: ServedModel) -> Entity:
    """Return the entity of the model that the server serves."""
    changed = served.changed.timestamp()
    endpoint = {
        "EndpointStatus": "READY",
        "PeakRequestsPerSecond": AMAZON_ML_CALLS_PER_S,
        "CreatedAt": changed,
    }
    document = {
        "MLModelId": served.id,
        "Name": served.id,
        "Status": "COMPLETED",
        "MLModelType": "MULTICLASS",
        "SizeInBytes": served.bytes,
        "CreatedAt": changed,
        "LastUpdatedAt": changed,
        "EndpointInfo": endpoint,
        "Served": True,
    }
    return Entity("MLModel", served.id, {}, document)


def _check_size(record: dict[str, Any]) -> None:
    size = sum(len(name) + len(str(value)) for name, value in record.items())
    if size > AMAZON_ML_RECORD_BYTES:
        raise invalid_input("a record may have 100 KB")


def _read_record(record: dict[str, Any]) -> Floats:
    """Return the features (1, 561) of a record."""
    if missing := [name for name in VARIABLES if name not in record]:
        raise BadInputError(f"{len(missing)} variables are missing, such as {missing[0]}")
    values = []
    for name in VARIABLES:
        try:
            values.append(float(record[name]))
        except (TypeError, ValueError):
            raise BadInputError(f"{name} is no number: {record[name]!r:.40}") from None
    return np.array([values], np.float64)
