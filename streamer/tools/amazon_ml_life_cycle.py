"""The life cycle of a model in Amazon ML, as one name: data sources, model, evaluation, endpoint.

The ids follow from the name, and each step changes nothing if it was done before. So an interrupted
command goes on when it is repeated, and `delete` finds everything that belongs to a name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.errors import DataError, EndpointError
from streamer.tools.amazon_ml_results import BatchResults, read_results
from streamer.tools.amazon_ml_service import AmazonMLService, FailedError, Kind

ModelType = Literal["MULTICLASS", "BINARY", "REGRESSION"]


@dataclass(frozen=True, slots=True)
class DataLocation:
    """Records in S3.

    Attributes:
        url: address of a CSV file, or of a folder with a slash at its end.
        schema_url: address of the schema.
        rearrangement: which part of the records is used, as JSON; empty for all.
    """

    url: str
    schema_url: str
    rearrangement: str = ""

    @property
    def spec(self) -> dict[str, str]:
        """The `DataSpec` of a request."""
        spec = {"DataLocationS3": self.url, "DataSchemaLocationS3": self.schema_url}
        return spec | ({"DataRearrangement": self.rearrangement} if self.rearrangement else {})

    @property
    def folder(self) -> str:
        """The folder of the records, without a slash at its end."""
        return self.url.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """What an evaluation found.

    Attributes:
        name: name of the model.
        figure: name of the service's figure, such as `MulticlassAvgFScore`.
        value: its value.
        results: the answers to the evaluation data.
    """

    name: str
    figure: str
    value: float
    results: BatchResults


class LifeCycle:
    """The life cycle of the model with a name."""

    def __init__(
        self, service: AmazonMLService, name: str, report: ReportProgress = ignore_progress
    ) -> None:
        self._service = service
        self._name = name
        self._report = report

    @property
    def _training_data(self) -> str:
        return f"{self._name}-training"

    @property
    def _evaluation_data(self) -> str:
        return f"{self._name}-evaluation-data"

    @property
    def _evaluation(self) -> str:
        return f"{self._name}-evaluation"

    def create(
        self,
        training: DataLocation,
        evaluation: DataLocation,
        model_type: ModelType,
        parameters: Mapping[str, str],
        recipe: str | None,
    ) -> dict[str, Any]:
        """Create the two data sources and the model, and return the model once it is trained.

        Raises:
            FailedError: a step has failed; what was created is deleted again.
            EndpointError: the name belongs to other data or parameters.
        """
        sources = ((self._training_data, training), (self._evaluation_data, evaluation))
        try:
            for id_, location in sources:
                self._service.create(
                    "CreateDataSourceFromS3",
                    DataSourceId=id_,
                    DataSourceName=id_,
                    DataSpec=location.spec,
                    ComputeStatistics=True,
                )
            for done, (id_, _) in enumerate(sources):
                self._report("reading the data", done, len(sources))
                self._service.wait("DataSource", id_)
            self._report("reading the data", len(sources), len(sources))
            self._report("training", 0, 1)
            self._service.create(
                "CreateMLModel",
                MLModelId=self._name,
                MLModelName=self._name,
                MLModelType=model_type,
                Parameters=dict(parameters),
                TrainingDataSourceId=self._training_data,
                **({} if recipe is None else {"Recipe": recipe}),
            )
            model = self._service.wait("MLModel", self._name)
            self._report("training", 1, 1)
        except FailedError:
            self.delete()
            raise
        return model

    def evaluate(self) -> EvaluatedModel:
        """Evaluate the model, and predict its evaluation data to see what it confuses.

        Raises:
            FailedError: a step has failed; the model stays as it is.
            DataError: the results are not complete.
        """
        model = self._service.find("MLModel", self._name)
        source = self._service.find("DataSource", self._evaluation_data)
        if model is None or source is None:
            raise EndpointError(
                f"there is no model {self._name} that `streamer amazon-ml create` has made"
            )
        batch_id = f"{self._name}-evaluation-batch"
        output = f"{source['DataLocationS3'].rpartition('/')[0]}/{self._name}-results"
        named = {"MLModelId": self._name}
        try:
            self._service.create(
                "CreateEvaluation",
                EvaluationId=self._evaluation,
                EvaluationDataSourceId=self._evaluation_data,
                **named,
            )
            self._report("evaluating", 0, 2)
            evaluation = self._service.wait("Evaluation", self._evaluation)
            self._service.create(
                "CreateBatchPrediction",
                BatchPredictionId=batch_id,
                BatchPredictionDataSourceId=self._evaluation_data,
                OutputUri=output,
                **named,
            )
            self._report("evaluating", 1, 2)
            batch = self._service.wait("BatchPrediction", batch_id)
            self._report("evaluating", 2, 2)
        except FailedError:
            self._service.delete("BatchPrediction", batch_id)
            self._service.delete("Evaluation", self._evaluation)
            raise
        [(figure, value)] = [
            pair
            for pair in evaluation["PerformanceMetrics"]["Properties"].items()
            if pair[0] in {"MulticlassAvgFScore", "BinaryAUC", "RegressionRMSE"}
        ]
        return EvaluatedModel(self._name, figure, float(value), read_results(batch))

    def promote(self, at_least: float | None = None) -> str:
        """Create the real-time endpoint of the model, and return its address.

        Args:
            at_least: the least figure of the evaluation; None to ask for no evaluation.

        Raises:
            DataError: the model was not evaluated, or its figure is too small.
        """
        if at_least is not None:
            evaluation = self._service.find("Evaluation", self._evaluation)
            figures = (evaluation or {}).get("PerformanceMetrics", {}).get("Properties", {})
            found = [float(value) for name, value in figures.items() if name in _HIGH_IS_GOOD]
            if not found:
                raise DataError(
                    f"{self._name} was not evaluated; run `streamer amazon-ml evaluate` first"
                )
            if found[0] < at_least:
                raise DataError(
                    f"the evaluation of {self._name} gives {found[0]:.4f}, less than {at_least}; "
                    "it gets no endpoint"
                )
        self._report("waiting for the endpoint", 0, 1)
        address = self._service.create_endpoint(self._name)
        self._report("waiting for the endpoint", 1, 1)
        return address

    def predict_batch(self, location: DataLocation, output: str) -> BatchResults:
        """Predict records in S3, and return the results once they are complete.

        Raises:
            FailedError: a step has failed; what was created is deleted again.
            DataError: the results are not complete.
        """
        digest = blake2b(repr((location, output)).encode(), digest_size=6).hexdigest()
        id_ = f"{self._name}-batch-{digest}"
        try:
            self._service.create(
                "CreateDataSourceFromS3",
                DataSourceId=id_,
                DataSpec=location.spec,
                ComputeStatistics=False,
            )
            self._report("predicting", 0, 2)
            self._service.wait("DataSource", id_)
            self._report("predicting", 1, 2)
            self._service.create(
                "CreateBatchPrediction",
                BatchPredictionId=id_,
                MLModelId=self._name,
                BatchPredictionDataSourceId=id_,
                OutputUri=output,
            )
            batch = self._service.wait("BatchPrediction", id_)
            self._report("predicting", 2, 2)
        except FailedError:
            self._service.delete("BatchPrediction", id_)
            self._service.delete("DataSource", id_)
            raise
        return read_results(batch)

    def delete(self) -> list[str]:
        """Delete what belongs to the name; return what was deleted. Objects in S3 stay."""
        deleted: list[str] = []
        model = self._service.find("MLModel", self._name)
        if model and model.get("EndpointInfo", {}).get("EndpointStatus", "NONE") != "NONE":
            self._service.delete_endpoint(self._name)
            deleted.append(f"real-time endpoint of {self._name}")
        for kind, id_ in self._list_entities():
            if self._service.delete(kind, id_):
                deleted.append(f"{kind} {id_}")
        return deleted

    def _list_entities(self) -> Iterator[tuple[Kind, str]]:
        """Yield what belongs to the name; what uses another one comes before it."""
        mine = {"FilterVariable": "MLModelId", "EQ": self._name}
        sources = [self._training_data, self._evaluation_data]
        for batch in list(self._service.list("BatchPrediction", **mine)):
            yield "BatchPrediction", batch["BatchPredictionId"]
            if batch["BatchPredictionId"] == batch["BatchPredictionDataSourceId"]:
                sources.append(batch["BatchPredictionDataSourceId"])
        for evaluation in list(self._service.list("Evaluation", **mine)):
            yield "Evaluation", evaluation["EvaluationId"]
        yield "MLModel", self._name
        for source in sources:
            yield "DataSource", source


_HIGH_IS_GOOD = {"MulticlassAvgFScore", "BinaryAUC"}
