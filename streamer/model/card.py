"""The model card: the part of a model file that describes the model."""

from dataclasses import dataclass
from typing import Annotated

import msgspec

from streamer.arrays import Floats
from streamer.contracts.activities import check_activity_names
from streamer.contracts.events import FeatureSetVersion, ModelVersion
from streamer.errors import UNDECODABLE, ModelError
from streamer.features import FeatureSet, find_feature_set

SHARES = 10
"""Number of bins of the histogram of confidence."""


class Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scores of a cross-validation on people left out of training.

    Only windows within one activity count. `smoothed` scores are those of published labels.
    """

    folds: int
    macro_f1: float
    smoothed_macro_f1: float | None
    """None where windows are not consecutive."""
    calibration_error: float
    movement_auroc: float | None
    """Area under the ROC curve of the probability of a movement; None without movements."""


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a model was trained and how it scores."""

    algorithm: str
    data: str
    seed: int
    subjects: tuple[str, ...]
    """Subjects of the training data. If sources have names: `waist/3` for subject 3 of `waist`."""
    windows: int
    copies: int
    """Augmented copies of each training window."""
    judged: Figures


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node of the tree: each outcome is a set of classes, given by their positions."""

    outcomes: tuple[tuple[int, ...], ...]
    temperature: float
    """Divisor of the logits; the stored weights include it."""
    logits: tuple[int, ...] = ()
    """The outcome of each logit, in ascending order; when empty, each outcome has one."""

    @property
    def outcome_of_logit(self) -> tuple[int, ...]:
        """The outcome of each logit, always given."""
        return self.logits or tuple(range(len(self.outcomes)))


class Usual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reference distributions for drift detection, except those of the features."""

    watched: tuple[int, ...]
    """The most important features, in order of importance."""
    mix: tuple[float, ...]
    """Share of each predicted class among windows of people left out of training."""
    confidence: tuple[float, ...]
    """Histogram of the largest probability, of people left out, in `SHARES` equal bins."""


class Boosting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The boosted trees of the nodes. A round adds a tree for each outcome of the node."""

    depth: Annotated[int, msgspec.Meta(ge=1, le=8)]
    """Levels of splits, the same in all trees."""
    rounds: tuple[Annotated[int, msgspec.Meta(ge=0, le=1000)], ...]
    """Rounds of each node; 0 where it has no trees."""
    factors: tuple[float, ...]
    """Factor of the trees of each node; the stored leaves include it."""


class Adaptation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a model was adapted to a person. Everything else in the card is its parent's."""

    parent: ModelVersion
    subjects: tuple[str, ...]
    """Whose recordings it was adapted by."""
    windows: int
    shifts: tuple[float, ...]
    """What is added to the logarithm of the score of each class; see `shift_scores`."""


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about a model but its arrays."""

    id: str
    feature_set: FeatureSetVersion
    labels: tuple[str, ...]
    activities: tuple[str, ...]
    nodes: tuple[Node, ...]
    training: Training
    usual: Usual
    places: tuple[str, ...] = ()
    """Places of the devices in the training data, such as `waist`; empty if unknown."""
    boosting: Boosting | msgspec.UnsetType = msgspec.UNSET
    """Absent in a model without boosted trees."""
    adapted: Adaptation | msgspec.UnsetType = msgspec.UNSET
    """Absent in a model that was not adapted to anybody."""

    @property
    def outcome_of_tree(self) -> tuple[int, ...]:
        """The outcome of each boosted tree, counted through all nodes."""
        if self.boosting is msgspec.UNSET:
            return ()
        found: list[int] = []
        first = 0
        for node, rounds in zip(self.nodes, self.boosting.rounds, strict=True):
            found += [*range(first, first + len(node.outcomes))] * rounds
            first += len(node.outcomes)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class DriftReference:
    """Reference distributions with which drift detection compares live windows.

    Attributes:
        deciles: (features, 9) deciles of the training windows.
        watched: the most important features, in order of importance.
        mix: share of each predicted class among windows of people left out of training.
        confidence: histogram of the largest probability in ten equal bins, of people left out.
        names: of all features.
    """

    deciles: Floats
    watched: tuple[int, ...]
    mix: tuple[float, ...]
    confidence: tuple[float, ...]
    names: tuple[str, ...]


def find_features(card: ModelCard) -> FeatureSet:
    """Return the features that a model takes.

    Raises:
        ModelError: this program does not compute them.
    """
    wanted = card.feature_set
    found = find_feature_set(wanted.name, wanted.version)
    if found is None:
        raise ModelError(
            f"it takes the features {wanted.name} {wanted.version}, which this version of streamer "
            "does not compute; train the model again"
        )
    return found


def parse_card(content: bytes) -> ModelCard:
    """Decode a card and check that it is consistent.

    Raises:
        ModelError: the card is malformed or inconsistent; the message says where.
    """
    try:
        card = msgspec.json.decode(content, type=ModelCard)
    except UNDECODABLE as error:
        raise ModelError(f"card.json: {error}") from None
    classes = len(card.labels)
    features = len(find_features(card).names)
    if classes < 2 or len(set(card.labels)) < classes:
        raise ModelError(f"its labels {list(card.labels)} are not two or more different names")
    if len(card.activities) != classes:
        raise ModelError(f"{classes} labels have {len(card.activities)} activities")
    try:
        check_activity_names(card.activities)
    except ValueError as error:
        raise ModelError(str(error)) from None
    if not _is_tree(card.nodes, tuple(range(classes))):
        raise ModelError("its nodes do not reach each class exactly once")
    boosting = card.boosting
    if boosting is not msgspec.UNSET and not (
        len(boosting.rounds) == len(boosting.factors) == len(card.nodes) and any(boosting.rounds)
    ):
        raise ModelError("card.json: `boosting` does not fit its nodes")
    if card.adapted is not msgspec.UNSET and len(card.adapted.shifts) != classes:
        raise ModelError(f"card.json: `adapted` has not one shift for each of {classes} classes")
    usual = card.usual
    if (
        not all(0 <= feature < features for feature in usual.watched)
        or len(usual.mix) != classes
        or len(usual.confidence) != SHARES
    ):
        raise ModelError("card.json: `usual` does not fit its features and classes")
    return card


def _is_tree(nodes: tuple[Node, ...], classes: tuple[int, ...]) -> bool:
    """Return whether each class is reached once: a node divides an outcome of an earlier node."""
    whole = {classes}
    for node in nodes:
        members = tuple(sorted(c for outcome in node.outcomes for c in outcome))
        if members not in whole or not all(node.outcomes) or len(node.outcomes) < 2:
            return False
        logits = node.outcome_of_logit
        if logits != tuple(sorted(logits)) or set(logits) != set(range(len(node.outcomes))):
            return False
        whole.remove(members)
        whole |= {tuple(sorted(outcome)) for outcome in node.outcomes}
    return whole == {(each,) for each in classes}
