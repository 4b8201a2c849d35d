"""The evaluation of a model of Amazon ML: as a page, and as JSON."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamer.reports import html_page
from streamer.reports.confusion_tables import confusion_as_json
from streamer.reports.html_page import Facts, Grid, Section, Text
from streamer.reports.judgement_page import Block, Cells, draw_confusion
from streamer.storage.atomic_files import atomic_file
from streamer.training.classification_scores import ConfusionMatrix


def count_confusion(pairs: Counter[tuple[str, str]], names: Mapping[str, str]) -> ConfusionMatrix:
    """Return the confusion matrix of true and predicted labels, with the names of activities."""
    every = [pair for pair, count in sorted(pairs.items()) for _ in range(count)]
    named = [tuple(names.get(label, label) for label in pair) for pair in every]
    return ConfusionMatrix.of([true for true, _ in named], [answer for _, answer in named])


def evaluation_as_json(
    name: str, figure: str, value: float, confusion: ConfusionMatrix | None
) -> dict[str, Any]:
    """Return the evaluation as JSON types."""
    found: dict[str, Any] = {"model": name, figure: round(value, 6)}
    return found | (confusion_as_json(confusion) if confusion else {})


def write_evaluation_page(
    path: Path, name: str, figure: str, value: float, confusion: ConfusionMatrix
) -> None:
    """Write the evaluation as a page.

    Raises:
        DataError: matplotlib or jinja2 is not installed, or the file cannot be written.
    """
    facts = [(figure, f"{value:.4f}"), ("accuracy", f"{confusion.accuracy:.4f}")]
    rows: list[Cells] = [
        [activity, scores.precision, scores.recall, scores.f1, scores.support]
        for activity, scores in confusion.classes.items()
    ]
    overview: list[Block] = [
        Facts([*facts, ("records", str(confusion.windows))]),
        Text(f"The service computed {figure}; the other figures are from its batch prediction."),
        Grid(["activity", "precision", "recall", "F1", "records"], rows),
    ]
    sections = [
        Section("Overview", overview),
        Section("Confusion", [draw_confusion([("evaluation data", confusion)])]),
    ]
    page = html_page.render(f"Evaluation of {name}", sections, "Amazon ML")
    with atomic_file(path) as file:
        file.write(page.encode())
