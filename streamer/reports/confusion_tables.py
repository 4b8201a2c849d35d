"""A confusion matrix as tables for a terminal, and as JSON."""

from typing import Any

from rich.table import Table

from streamer.training.classification_scores import ConfusionMatrix


def confusion_as_json(confusion: ConfusionMatrix) -> dict[str, Any]:
    """Return the figures of a confusion matrix as JSON types."""
    return {
        "windows": confusion.windows,
        "accuracy": round(confusion.accuracy, 6),
        "macro_f1": round(confusion.macro_f1, 6),
        "classes": {
            activity: {
                "precision": round(scores.precision, 6),
                "recall": round(scores.recall, 6),
                "f1": round(scores.f1, 6),
                "support": scores.support,
            }
            for activity, scores in confusion.classes.items()
        },
        "confusion": {
            true: dict(zip(confusion.answers, row, strict=True))
            for true, row in zip(confusion.truths, confusion.counts.tolist(), strict=True)
        },
    }


def scores_as_table(confusion: ConfusionMatrix) -> Table:
    """Lay out precision, recall and F1 of each activity."""
    table = Table("activity", box=None, pad_edge=False)
    for heading in ("precision", "recall", "F1", "windows"):
        table.add_column(heading, justify="right")
    for activity, scores in confusion.classes.items():
        ratios = (scores.precision, scores.recall, scores.f1)
        table.add_row(activity, *(f"{ratio:.4f}" for ratio in ratios), str(scores.support))
    return table


def confusion_as_table(confusion: ConfusionMatrix) -> Table:
    """Lay out a row for each true activity and a column for each label."""
    table = Table("true \\ published", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for answer in confusion.answers:
        # Without the first word the table fits on 80 columns.
        table.add_column(answer.removeprefix("walking_"), justify="right")
    for activity, row in zip(confusion.truths, confusion.counts.tolist(), strict=True):
        table.add_row(activity, *(str(count) if count else "." for count in row))
    return table
