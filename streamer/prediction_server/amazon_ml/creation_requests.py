"""Checks requests that create entities, beyond their shapes. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from streamer.prediction_server.amazon_ml.schema import DataSchema, InvalidDataError, Splitting
from streamer.prediction_server.amazon_ml.scorers import THRESHOLD
from streamer.prediction_server.amazon_ml.store import Entity, Kind
from streamer.prediction_server.amazon_ml.training import TrainingParameters
from streamer.storage.s3_address import split_address

NO_ENDPOINT: Final = {"EndpointStatus": "NONE", "PeakRequestsPerSecond": 0}
_FORBIDDEN = (":", "//", "/./", "/../")


def check_creation(
    kind: Kind, request: dict[str, Any], needed: Mapping[str, Entity]
) -> dict[str, Any]:
    """Return the members that a request gives its entity, besides those that all entities have.

    Args:
        kind: kind of the new entity.
        request: the request, whose shape is right.
        needed: the entities that parameters of the request name.

    Raises:
        InvalidDataError: the request is not valid.
    """
    match kind:
        case "DataSource":
            return _check_source(request)
        case "MLModel":
            return _check_model(request, needed["TrainingDataSourceId"])
        case "Evaluation":
            names = ["MLModelId", "EvaluationDataSourceId"]
        case "BatchPrediction":
            names = ["MLModelId", "BatchPredictionDataSourceId", "OutputUri"]
            _check_output(request["OutputUri"])
    location = needed[names[1]].document["DataLocationS3"]
    return {name: request[name] for name in names} | {"InputDataLocationS3": location}


def _check_source(request: dict[str, Any]) -> dict[str, Any]:
    spec = request["DataSpec"]
    if ("DataSchema" in spec) == ("DataSchemaLocationS3" in spec):
        raise InvalidDataError("the DataSpec must have either DataSchema or DataSchemaLocationS3")
    if "DataSchema" in spec:
        DataSchema.parse(spec["DataSchema"])
    Splitting.parse(spec.get("DataRearrangement"))
    members = {
        "DataLocationS3": spec["DataLocationS3"],
        "ComputeStatistics": request.get("ComputeStatistics", False),
    }
    if "DataRearrangement" in spec:
        members["DataRearrangement"] = spec["DataRearrangement"]
    return members


def _check_model(request: dict[str, Any], source: Entity) -> dict[str, Any]:
    if not source.document.get("ComputeStatistics"):
        raise InvalidDataError(
            f"the data source {source.id} has no statistics; create it with ComputeStatistics"
        )
    if "Recipe" in request and "RecipeUri" in request:
        raise InvalidDataError("only one of Recipe and RecipeUri may be given")
    parameters = TrainingParameters.parse(request.get("Parameters", {}))
    members = {
        "MLModelType": request["MLModelType"],
        "TrainingDataSourceId": source.id,
        "InputDataLocationS3": source.document["DataLocationS3"],
        "TrainingParameters": parameters.as_request(),
        "EndpointInfo": NO_ENDPOINT,
    }
    if request["MLModelType"] == "BINARY":
        members["ScoreThreshold"] = THRESHOLD
    return members


def _check_output(url: str) -> None:
    _, key = split_address(url)
    if key.startswith("/") or any(part in key for part in _FORBIDDEN):
        raise InvalidDataError(f"the key of the OutputUri may not contain : // /./ /../: {url}")
