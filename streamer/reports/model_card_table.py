"""The output of `streamer model show`."""

from msgspec import UNSET
from rich.table import Table

from streamer.model.artifact import Model


def card_as_table(model: Model) -> Table:
    """Lay out a model card for a terminal."""
    card, training = model.card, model.card.training
    figures = training.judged
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("model", card.id)
    table.add_row("version", model.version)
    if card.adapted is not UNSET:
        parent = card.adapted.parent
        whose = f"{card.adapted.windows} windows of users {', '.join(card.adapted.subjects)}"
        table.add_row("adapted", f"from {parent.id} {parent.version}, by {whose}")
    table.add_row("features", f"{card.feature_set.name} {card.feature_set.version}")
    classes = zip(card.labels, card.activities, strict=True)
    table.add_row("classes", "\n".join(f"{label}: {activity}" for label, activity in classes))
    table.add_row("algorithm", training.algorithm)
    table.add_row("temperatures", ", ".join(f"{node.temperature:g}" for node in card.nodes))
    if model.trees is not None and card.boosting is not UNSET:
        factors = ", ".join(f"{factor:g}" for factor in card.boosting.factors)
        count = len(model.trees.features)
        table.add_row("trees", f"{count} of depth {card.boosting.depth}; factors {factors}")
    table.add_row("data", training.data)
    table.add_row(
        "learned from",
        f"{training.windows} windows of {len(training.subjects)} users, "
        f"each with {training.copies} varied copies",
    )
    table.add_row("users", ", ".join(training.subjects))
    table.add_row("judged", f"on users left out of training, {figures.folds} folds")
    table.add_row("  macro-F1", f"{figures.macro_f1:.4f} of one window")
    if figures.smoothed_macro_f1 is not None:
        table.add_row("", f"{figures.smoothed_macro_f1:.4f} smoothed")
    table.add_row("  calibration", f"error {figures.calibration_error:.4f}")
    if figures.movement_auroc is not None:
        table.add_row("  movements", f"AUROC {figures.movement_auroc:.4f}")
    table.add_row("strangers", "found out" if model.familiarity else "not found out")
    table.add_row("seed", str(training.seed))
    return table
