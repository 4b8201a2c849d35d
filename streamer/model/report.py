"""What `streamer model show` and `streamer evaluate` say, to people and to machines."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from streamer.model.artifact import LinearModel
from streamer.model.evaluation import (
    ANSWERS,
    TRUTHS,
    Alignment,
    accuracy,
    class_scores,
    confusion_matrix,
    macro_f1,
)


def as_card(model: LinearModel) -> Table:
    """Lay out who a model is."""
    card, training = model.card, model.card.training
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("model", card.id)
    table.add_row("version", model.version)
    table.add_row("features", f"{card.feature_set.name} {card.feature_set.version}")
    classes = zip(card.labels, card.activities, strict=True)
    table.add_row("classes", "\n".join(f"{label}: {activity}" for label, activity in classes))
    table.add_row("algorithm", training.algorithm)
    table.add_row(
        "learned from",
        f"{training.windows} windows of {len(training.subjects)} users, "
        f"each with {training.copies} varied copies",
    )
    table.add_row("users", ", ".join(map(str, training.subjects)))
    table.add_row("macro-F1", f"{training.macro_f1:.4f} on users left out of training")
    table.add_row("seed", str(training.seed))
    return table


def as_json(alignment: Alignment) -> dict[str, Any]:
    """Return the figures as JSON types."""
    matrix = confusion_matrix(alignment.pairs)
    return {
        "windows": len(alignment.pairs),
        "accuracy": round(accuracy(matrix), 6),
        "macro_f1": round(macro_f1(matrix), 6),
        "classes": {
            activity: {
                "precision": round(scores.precision, 6),
                "recall": round(scores.recall, 6),
                "f1": round(scores.f1, 6),
                "support": scores.support,
            }
            for activity, scores in class_scores(matrix).items()
        },
        "confusion": {
            true: dict(zip(ANSWERS, row, strict=True))
            for true, row in zip(TRUTHS, matrix.tolist(), strict=True)
        },
        "not_counted": {
            "unlabelled": alignment.unlabelled,
            "unknown_device": alignment.unknown_device,
            "outside_replay": alignment.outside_replay,
            "repeated": alignment.repeated,
        },
    }


def as_tables(alignment: Alignment) -> RenderableType:
    """Lay the figures out for a terminal."""
    matrix = confusion_matrix(alignment.pairs)
    return Group(
        f"accuracy {accuracy(matrix):.4f}, macro-F1 {macro_f1(matrix):.4f}",
        f"{len(alignment.pairs)} windows wholly within one labelled activity",
        *_not_counted(alignment),
        "",
        _scores_table(alignment),
        "",
        _confusion_table(alignment),
    )


def _not_counted(alignment: Alignment) -> list[str]:
    reasons = {
        "windows not wholly within one labelled activity": alignment.unlabelled,
        "events of devices that are no replayed recording with labels": alignment.unknown_device,
        "events of a time when their recording was not replayed": alignment.outside_replay,
        "events of a window that had one already": alignment.repeated,
    }
    return [f"not counted: {count} {reason}" for reason, count in reasons.items() if count]


def _scores_table(alignment: Alignment) -> Table:
    table = Table("activity", box=None, pad_edge=False)
    for heading in ("precision", "recall", "F1", "windows"):
        table.add_column(heading, justify="right")
    for activity, scores in class_scores(confusion_matrix(alignment.pairs)).items():
        ratios = (scores.precision, scores.recall, scores.f1)
        table.add_row(activity, *(f"{ratio:.4f}" for ratio in ratios), str(scores.support))
    return table


def _confusion_table(alignment: Alignment) -> Table:
    """One row for each true activity, a column for each published one."""
    table = Table("true \\ published", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for answer in ANSWERS:
        # Without the first word it fits on 80 columns.
        table.add_column(answer.removeprefix("walking_"), justify="right")
    for activity, row in zip(TRUTHS, confusion_matrix(alignment.pairs).tolist(), strict=True):
        table.add_row(activity, *(str(count) if count else "." for count in row))
    return table
