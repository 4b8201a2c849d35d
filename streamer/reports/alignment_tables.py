"""The output of `streamer evaluate`: tables for a terminal, and JSON."""

from typing import Any

from rich.console import Group, RenderableType

from streamer.reports.confusion_tables import (
    confusion_as_json,
    confusion_as_table,
    scores_as_table,
)
from streamer.training.classification_scores import ConfusionMatrix
from streamer.training.event_alignment import Alignment


def alignment_as_json(alignment: Alignment) -> dict[str, Any]:
    """Return the figures as JSON types; `raw` are those of single windows, where events say it."""
    raw = _count(alignment.raw_pairs)
    return {
        **confusion_as_json(_count(alignment.pairs)),
        "raw": confusion_as_json(raw) if raw.windows else None,
        "movements": dict(alignment.movements),
        "not_counted": {
            "unlabelled": alignment.unlabelled,
            "unknown_device": alignment.unknown_device,
            "outside_replay": alignment.outside_replay,
            "repeated": alignment.repeated,
        },
    }


def alignment_as_tables(alignment: Alignment) -> RenderableType:
    """Lay the figures out for a terminal."""
    confusion, raw = _count(alignment.pairs), _count(alignment.raw_pairs)
    lines = [f"accuracy {confusion.accuracy:.4f}, macro-F1 {confusion.macro_f1:.4f}"]
    if raw.windows:
        lines.append(f"of windows alone: macro-F1 {raw.macro_f1:.4f}")
    lines.append(f"{confusion.windows} windows wholly within one labelled activity")
    if moved := alignment.movements.total():
        labels = ", ".join(f"{name} {count}" for name, count in alignment.movements.most_common())
        lines.append(f"{moved} windows of movements between activities: {labels}")
    return Group(
        *lines,
        *_list_not_counted(alignment),
        "",
        scores_as_table(confusion),
        "",
        confusion_as_table(confusion),
    )


def _count(pairs: list[tuple[str, str]]) -> ConfusionMatrix:
    return ConfusionMatrix.of([true for true, _ in pairs], [label for _, label in pairs])


def _list_not_counted(alignment: Alignment) -> list[str]:
    reasons = {
        "windows not wholly within one labelled activity": alignment.unlabelled,
        "events of devices without a replayed and labelled recording": alignment.unknown_device,
        "events outside the time of their recording's replays": alignment.outside_replay,
        "events of a window that already had one": alignment.repeated,
    }
    return [f"not counted: {count} {reason}" for reason, count in reasons.items() if count]
