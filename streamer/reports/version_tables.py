"""The output of `streamer model history`."""

from datetime import UTC, datetime

from rich.table import Table

from streamer.model.versions import History


def history_as_tables(history: History) -> list[Table]:
    """Lay out the versions of a registry and their promotions for a terminal."""
    current = history.promotions[-1].version if history.promotions else None
    names = ("current", "version", "model", "added", "parent", "figures", "note")
    versions = Table(*names, box=None, pad_edge=False)
    versions.columns[1].no_wrap = True
    for each in history.versions:
        figures = ", ".join(f"{name} {value:.4f}" for name, value in each.figures.items())
        versions.add_row(
            "*" if each.id == current else "",
            each.id,
            each.model,
            _time(each.created_ms),
            each.parent or "",
            figures,
            each.note,
        )
    promotions = Table("promoted", "version", "reason", box=None, pad_edge=False)
    for promotion in history.promotions:
        reason = f"rollback. {promotion.reason}" if promotion.rollback else promotion.reason
        promotions.add_row(_time(promotion.at_ms), promotion.version, reason)
    return [versions, promotions]


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
