"""Evaluates models: the figure that the service shows for each kind of model."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from streamer.arrays import Floats
from streamer.prediction_server.amazon_ml.jobs import Outcome
from streamer.prediction_server.amazon_ml.linear_model import ModelKind
from streamer.prediction_server.amazon_ml.objects import open_object_storage
from streamer.prediction_server.amazon_ml.records import is_missing, open_records
from streamer.prediction_server.amazon_ml.schema import InvalidDataError
from streamer.prediction_server.amazon_ml.scorers import Scorer
from streamer.prediction_server.amazon_ml.store import Entity
from streamer.prediction_server.amazon_ml.training import read_label
from streamer.training.classification_scores import ConfusionMatrix, compute_auroc


async def evaluate(source: Entity, scorer: Scorer, kind: ModelKind) -> Outcome:
    """Compare the predictions of a model with the targets of a data source.

    Raises:
        InvalidDataError: the data have no targets, or not the columns of the model.
    """
    figures = _Figures(kind)
    async with open_object_storage() as storage, open_records(source, storage) as records:
        schema = records.schema
        if schema.target is None:
            raise InvalidDataError("the schema of the evaluation data has no targetFieldName")
        place = schema.names.index(schema.target)
        for chunk in records.read():
            rows = [row for row in chunk.rows if not is_missing(row[place])]
            if not rows:
                continue
            scores, valid = await scorer.score(schema.names, rows)
            truths = [rows[i][place] for i in np.flatnonzero(valid)]
            figures.add(truths, scores, scorer.labels)
    name, value = figures.compute()
    properties = {name: f"{value:.6f}"}
    return Outcome({"PerformanceMetrics": {"Properties": properties}, "Log": figures.describe()})


@dataclass(slots=True)
class _Figures:
    """Counts of the answers to records, by kind of model."""

    kind: ModelKind
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    positive: list[float] = field(default_factory=list)
    negative: list[float] = field(default_factory=list)
    square: float = 0.0
    count: int = 0

    def add(self, truths: list[str], scores: Floats, labels: tuple[str, ...]) -> None:
        """Add true targets and the scores of a model."""
        self.count += len(truths)
        match self.kind:
            case "MULTICLASS":
                answers = [labels[i] for i in scores.argmax(axis=1)]
                self.pairs.update(zip(map(str.strip, truths), answers, strict=True))
            case "BINARY":
                for truth, score in zip(truths, scores[:, 0].tolist(), strict=True):
                    yes = read_label("BINARY", truth) == "1"
                    (self.positive if yes else self.negative).append(score)
            case "REGRESSION":
                wrong = np.array([float(truth) for truth in truths]) - scores[:, 0]
                self.square += float((wrong**2).sum())

    def compute(self) -> tuple[str, float]:
        """Return name and value of the figure."""
        if not self.count:
            raise InvalidDataError("no record of the evaluation data has a target")
        match self.kind:
            case "MULTICLASS":
                return "MulticlassAvgFScore", self._confusion().macro_f1
            case "BINARY":
                area = compute_auroc(np.array(self.positive), np.array(self.negative))
                if area is None:
                    raise InvalidDataError("all records of the evaluation data have one target")
                return "BinaryAUC", area
            case _:
                return "RegressionRMSE", float(np.sqrt(self.square / self.count))

    def describe(self) -> dict[str, object]:
        """Return what the log of the evaluation says."""
        log: dict[str, object] = {"records": self.count}
        if self.kind == "MULTICLASS":
            log["confusion"] = [
                {"trueLabel": true, "predictedLabel": label, "records": count}
                for (true, label), count in sorted(self.pairs.items())
            ]
        return log

    def _confusion(self) -> ConfusionMatrix:
        pairs = [pair for pair, count in sorted(self.pairs.items()) for _ in range(count)]
        return ConfusionMatrix.of([true for true, _ in pairs], [label for _, label in pairs])
