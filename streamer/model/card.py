"""What a model file says about its model."""

from dataclasses import dataclass

import msgspec

from streamer.arrays import Floats
from streamer.contracts.activities import checked
from streamer.contracts.events import FeatureSetVersion
from streamer.errors import ModelError
from streamer.features import NAMES, UCI_HAR

FEATURES = FeatureSetVersion(UCI_HAR.name, UCI_HAR.version)
SHARES = 10
"""Bins of the histogram of confidence."""


class Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How good a model is on people left out of training, cross-validated.

    Windows wholly within one activity count; `smoothed` is what would be published.
    """

    folds: int
    macro_f1: float
    smoothed_macro_f1: float | None
    """None where windows do not follow one another."""
    calibration_error: float
    movement_auroc: float | None
    """How well the probability of a movement tells one; None without movements."""


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a model comes from, and how good it is."""

    algorithm: str
    data: str
    seed: int
    subjects: tuple[str, ...]
    windows: int
    copies: int
    """Varied copies of each window that it has learned from too."""
    judged: Figures


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A division of classes: the outcomes, as positions of their classes."""

    outcomes: tuple[tuple[int, ...], ...]
    temperature: float
    """By what its logits were divided; the stored weights are after it."""


class Usual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model is used to, but for its features."""

    watched: tuple[int, ...]
    """Features that matter, the most important first."""
    mix: tuple[float, ...]
    """Share of each class among what windows of people left out are called, one by one."""
    confidence: tuple[float, ...]
    """Shares of windows of people left out by the largest probability, in `SHARES` equal bins."""


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of a model but its numbers."""

    id: str
    feature_set: FeatureSetVersion
    labels: tuple[str, ...]
    activities: tuple[str, ...]
    nodes: tuple[Node, ...]
    training: Training
    usual: Usual


@dataclass(frozen=True, slots=True)
class Profile:
    """What a model is used to.

    Attributes:
        deciles: (features, 9) of the training windows.
        watched: features that matter, the most important first.
        mix: share of each class among what windows of people left out are called, one by one.
        confidence: shares of the largest probability in ten equal bins, of people left out.
    """

    deciles: Floats
    watched: tuple[int, ...]
    mix: tuple[float, ...]
    confidence: tuple[float, ...]


def parse_card(content: bytes) -> ModelCard:
    """Decode a card and see that it makes sense.

    Raises:
        ModelError: it does not; says what is wrong.
    """
    try:
        card = msgspec.json.decode(content, type=ModelCard)
    except msgspec.DecodeError as error:
        raise ModelError(f"card.json: {error}") from None
    classes = len(card.labels)
    if card.feature_set != FEATURES:
        raise ModelError(f"it takes {card.feature_set}, this program computes {FEATURES}")
    if classes < 2 or len(set(card.labels)) < classes:
        raise ModelError(f"its labels {list(card.labels)} are not two or more different names")
    if len(card.activities) != classes:
        raise ModelError(f"{classes} labels have {len(card.activities)} activities")
    try:
        checked(card.activities)
    except ValueError as error:
        raise ModelError(str(error)) from None
    if not _divides(card.nodes, tuple(range(classes))):
        raise ModelError("its nodes do not lead to each of its classes")
    usual = card.usual
    if (
        not all(0 <= feature < len(NAMES) for feature in usual.watched)
        or len(usual.mix) != classes
        or len(usual.confidence) != SHARES
    ):
        raise ModelError("card.json: what it is used to does not fit its features and classes")
    return card


def _divides(nodes: tuple[Node, ...], classes: tuple[int, ...]) -> bool:
    """Whether every class is reached, by one way: nodes halve what an earlier one has set aside."""
    whole = {classes}
    for node in nodes:
        members = tuple(sorted(c for outcome in node.outcomes for c in outcome))
        if members not in whole or not all(node.outcomes) or len(node.outcomes) < 2:
            return False
        whole.remove(members)
        whole |= {tuple(sorted(outcome)) for outcome in node.outcomes}
    return whole == {(each,) for each in classes}
