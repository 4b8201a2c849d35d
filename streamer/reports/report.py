"""What `streamer model show` and `streamer evaluate` say, to people and to machines."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from streamer.model.artifact import Model
from streamer.training.classification_scores import ConfusionMatrix
from streamer.training.event_alignment import Alignment


def card_as_table(model: Model) -> Table:
    """Lay out who a model is."""
    card, training = model.card, model.card.training
    judged = training.judged
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("model", card.id)
    table.add_row("version", model.version)
    table.add_row("features", f"{card.feature_set.name} {card.feature_set.version}")
    classes = zip(card.labels, card.activities, strict=True)
    table.add_row("classes", "\n".join(f"{label}: {activity}" for label, activity in classes))
    table.add_row("algorithm", training.algorithm)
    table.add_row("temperatures", ", ".join(f"{node.temperature:g}" for node in card.nodes))
    table.add_row("data", training.data)
    table.add_row(
        "learned from",
        f"{training.windows} windows of {len(training.subjects)} users, "
        f"each with {training.copies} varied copies",
    )
    table.add_row("users", ", ".join(training.subjects))
    table.add_row("judged", f"on users left out of training, {judged.folds} folds")
    table.add_row("  macro-F1", f"{judged.macro_f1:.4f} of one window")
    if judged.smoothed_macro_f1 is not None:
        table.add_row("", f"{judged.smoothed_macro_f1:.4f} smoothed")
    table.add_row("  calibration", f"error {judged.calibration_error:.4f}")
    if judged.movement_auroc is not None:
        table.add_row("  movements", f"AUROC {judged.movement_auroc:.4f}")
    table.add_row("seed", str(training.seed))
    return table


def confusion_json(confusion: ConfusionMatrix) -> dict[str, Any]:
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


def as_json(alignment: Alignment) -> dict[str, Any]:
    """Return the figures as JSON types; `raw` are those of windows alone, where events say it."""
    raw = _confusion(alignment.raw_pairs)
    return {
        **confusion_json(_confusion(alignment.pairs)),
        "raw": confusion_json(raw) if raw.windows else None,
        "movements": dict(alignment.movements),
        "not_counted": {
            "unlabelled": alignment.unlabelled,
            "unknown_device": alignment.unknown_device,
            "outside_replay": alignment.outside_replay,
            "repeated": alignment.repeated,
        },
    }


def as_tables(alignment: Alignment) -> RenderableType:
    """Lay the figures out for a terminal."""
    confusion, raw = _confusion(alignment.pairs), _confusion(alignment.raw_pairs)
    lines = [f"accuracy {confusion.accuracy:.4f}, macro-F1 {confusion.macro_f1:.4f}"]
    if raw.windows:
        lines.append(f"of windows alone: macro-F1 {raw.macro_f1:.4f}")
    lines.append(f"{confusion.windows} windows wholly within one labelled activity")
    if moved := alignment.movements.total():
        called = ", ".join(f"{name} {count}" for name, count in alignment.movements.most_common())
        lines.append(f"{moved} windows of movements between activities: {called}")
    return Group(
        *lines,
        *_not_counted(alignment),
        "",
        scores_table(confusion),
        "",
        confusion_table(confusion),
    )


def _confusion(pairs: list[tuple[str, str]]) -> ConfusionMatrix:
    return ConfusionMatrix.of([true for true, _ in pairs], [said for _, said in pairs])


def _not_counted(alignment: Alignment) -> list[str]:
    reasons = {
        "windows not wholly within one labelled activity": alignment.unlabelled,
        "events of devices that are no replayed recording with labels": alignment.unknown_device,
        "events of a time when their recording was not replayed": alignment.outside_replay,
        "events of a window that had one already": alignment.repeated,
    }
    return [f"not counted: {count} {reason}" for reason, count in reasons.items() if count]


def scores_table(confusion: ConfusionMatrix) -> Table:
    """Precision, recall and F1 of each activity."""
    table = Table("activity", box=None, pad_edge=False)
    for heading in ("precision", "recall", "F1", "windows"):
        table.add_column(heading, justify="right")
    for activity, scores in confusion.classes.items():
        ratios = (scores.precision, scores.recall, scores.f1)
        table.add_row(activity, *(f"{ratio:.4f}" for ratio in ratios), str(scores.support))
    return table


def confusion_table(confusion: ConfusionMatrix) -> Table:
    """One row for each true activity, a column for each published one."""
    table = Table("true \\ published", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for answer in confusion.answers:
        # Without the first word it fits on 80 columns.
        table.add_column(answer.removeprefix("walking_"), justify="right")
    for activity, row in zip(confusion.truths, confusion.counts.tolist(), strict=True):
        table.add_row(activity, *(str(count) if count else "." for count in row))
    return table
