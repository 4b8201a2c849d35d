"""The model file: a tree of classifiers in an ``.npz``, checked before it is used.

The file is an uncompressed zip that `numpy.load` opens too:

| member | content |
|---|---|
| `card.json` | identity, classes and their tree, how the model was trained and evaluated |
| `low.npy`, `high.npy` | float64 (features,): limits to which features are clipped |
| `weights.npy` | float64 (rows, features): one row for each logit of a node but its last |
| `bias.npy` | float64 (rows,): one number for each row of the weights |
| `deciles.npy` | float64 (features, 9): deciles of the features of the training windows |
| `tree_features.npy` | uint16 (trees, splits): see `streamer.model.boosted_trees` |
| `tree_thresholds.npy` | float32 (trees, splits) |
| `tree_leaves.npy` | int16 (trees, splits + 1) |
| `familiarity_*.npy` | float64: see `streamer.model.familiarity`; not in every model |

The card says whether there are boosted trees, and how many.

Reading executes nothing (no pickle). Members are stored uncompressed: the size of the file bounds
the memory that reading takes, and equal models have equal bytes.
"""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np

from streamer.arrays import Floats
from streamer.errors import ModelError
from streamer.features import FeatureSet
from streamer.model.array_members import encode_array, parse_array, read_members
from streamer.model.boosted_trees import BoostedTrees
from streamer.model.card import DriftReference, ModelCard, find_features, parse_card
from streamer.model.class_tree import ClassTree
from streamer.model.familiarity import MEMBERS as FAMILIARITY
from streamer.model.familiarity import Familiarity
from streamer.model.identity import ModelIdentity
from streamer.model.linear_logits import compute_logits

DEFAULT_MODEL = Path(__file__).with_name("har.npz")
"""The model in the package that is used when no other is named."""

WAIST_MODEL = Path(__file__).with_name("waist.npz")
"""The one in the package that takes the published features: a phone at the waist, as there."""

ACC_MODEL = Path(__file__).with_name("har-acc.npz")
"""The one in the package that needs no gyroscope; it goes with the default model."""

NAMED = {path.stem: path for path in (DEFAULT_MODEL, WAIST_MODEL, ACC_MODEL)}
"""The models in the package by name."""

DECILES = 9

_LARGEST_FILE = 1 << 20
_ARRAYS = ("low", "high", "weights", "bias", "deciles")
_TREE_ARRAYS = ("tree_features", "tree_thresholds", "tree_leaves")
"""Arrays that a model has if its card describes boosted trees."""
_OPTIONAL = {f"familiarity_{name}.npy": name for name in FAMILIARITY}
"""Members that an older file lacks, by the names of their arrays."""
_EARLIEST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Model:
    """A tree of classifiers.

    The logits are ``weights @ clipped features + bias``. Boosted trees add a value to the logits
    of each outcome. `streamer.model.class_tree` turns the sums into probabilities. A plain linear
    classifier is a tree with one node.

    Attributes:
        card: identity, classes and training of the model.
        low, high: (features,) limits to which features are clipped.
        weights: (rows, features), ordered by node.
        bias: (rows,).
        deciles: (features, 9) deciles of the training windows.
        trees: the boosted trees of all nodes; None when there are none.
        familiarity: the reference for strange windows; None if the file has none.
    """

    card: ModelCard
    low: Floats
    high: Floats
    weights: Floats
    bias: Floats
    deciles: Floats
    trees: BoostedTrees | None = None
    familiarity: Familiarity | None = None

    @cached_property
    def version(self) -> str:
        """Hash of the whole model: different models have different versions."""
        return hashlib.sha256(b"".join(_members(self).values())).hexdigest()[:12]

    @cached_property
    def signature(self) -> ModelIdentity:
        """The identity that every event of the model carries."""
        card = self.card
        return ModelIdentity(card.id, self.version, card.labels, card.activities, card.feature_set)

    @cached_property
    def feature_set(self) -> FeatureSet:
        """The features that the model takes."""
        return find_features(self.card)

    @property
    def profile(self) -> DriftReference:
        """Distributions in the training data, for drift detection."""
        usual = self.card.usual
        return DriftReference(
            self.deciles, usual.watched, usual.mix, usual.confidence, self.feature_set.names
        )

    def probabilities(self, features: Floats) -> Floats:
        """Return the probabilities (n, classes) of windows (n, features) of its feature set.

        The result for a row does not depend on the other rows, to the last bit.
        """
        logits = compute_logits(features, self.low, self.high, self._columns, self.bias)
        values = None if self.trees is None else self.trees.values(features)
        scores = self._division.probabilities(logits, values)
        adapted = self.card.adapted
        if adapted is msgspec.UNSET:
            return scores
        from streamer.model.adapted_scores import shift_scores  # noqa: PLC0415 - few are adapted

        return shift_scores(scores, np.array(adapted.shifts))

    @cached_property
    def _columns(self) -> Floats:
        return np.ascontiguousarray(self.weights.T)

    @cached_property
    def _division(self) -> ClassTree:
        nodes = self.card.nodes
        return ClassTree(
            [node.outcomes for node in nodes], [node.outcome_of_logit for node in nodes]
        )


def is_default(path: Path | None) -> bool:
    """Return whether a setting names the model in the package that is used by default."""
    return path is None or NAMED.get(str(path), path) == DEFAULT_MODEL


def save(path: Path, model: Model) -> None:
    """Write a model. Equal models give equal bytes.

    Raises:
        ModelError: the file cannot be written.
    """
    try:
        path.write_bytes(encode(model))
    except OSError as error:
        raise ModelError(f"model {path} cannot be written: {error.strerror}") from None


def encode(model: Model) -> bytes:
    """Return the content of a model's file. Equal models give equal bytes."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, member in _members(model).items():
            archive.writestr(zipfile.ZipInfo(name, _EARLIEST_ZIP_TIME), member)
    return content.getvalue()


def load(path: Path = DEFAULT_MODEL) -> Model:
    """Read a model file, or a model in the package by its name, and check its contents.

    Raises:
        ModelError: the file cannot be used; the message says why and what to do.
    """
    try:
        with NAMED.get(str(path), path).open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        return decode(content)
    except OSError as error:
        raise ModelError(
            f"model {path} cannot be read: {error.strerror}; name a file, or a model of the "
            f"package: {', '.join(sorted(NAMED))}"
        ) from None
    except ModelError as error:
        raise ModelError(
            f"model {path} cannot be used: {error}\n"
            "train a model with `streamer model train`, or omit --model to use the shipped one"
        ) from None


def _members(model: Model) -> dict[str, bytes]:
    """Return the content of each file in the zip, by name."""
    arrays = {name: getattr(model, name) for name in _ARRAYS}
    if (trees := model.trees) is not None:
        arrays |= zip(_TREE_ARRAYS, (trees.features, trees.thresholds, trees.leaves), strict=True)
    card = msgspec.json.format(msgspec.json.encode(model.card)) + b"\n"
    if model.familiarity is not None:
        arrays |= {f"familiarity_{name}": a for name, a in model.familiarity.arrays.items()}
    kinds = _kinds(model.card)
    return {"card.json": card} | {
        f"{name}.npy": encode_array(array, kinds[name][0] if name in kinds else "<f8")
        for name, array in arrays.items()
    }


def _kinds(card: ModelCard) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the type and the shape of each array in the file of a model, by name."""
    rows = sum(len(node.outcome_of_logit) - 1 for node in card.nodes)
    features = len(find_features(card).names)
    kinds: dict[str, tuple[str, tuple[int, ...]]] = {
        "low": ("<f8", (features,)),
        "high": ("<f8", (features,)),
        "weights": ("<f8", (rows, features)),
        "bias": ("<f8", (rows,)),
        "deciles": ("<f8", (features, DECILES)),
    }
    if card.boosting is not msgspec.UNSET:
        trees, splits = len(card.outcome_of_tree), 2**card.boosting.depth - 1
        kinds |= {
            "tree_features": ("<u2", (trees, splits)),
            "tree_thresholds": ("<f4", (trees, splits)),
            "tree_leaves": ("<i2", (trees, splits + 1)),
        }
    return kinds


def decode(content: bytes) -> Model:
    """Return the model in the content of a file, and check it.

    Raises:
        ModelError: the content cannot be used; the message says why.
    """
    if len(content) > _LARGEST_FILE:
        raise ModelError(f"the file is larger than {_LARGEST_FILE:,} bytes")
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            always = read_members(archive, ["card.json", *(f"{name}.npy" for name in _ARRAYS)])
            card = parse_card(always["card.json"])
            kinds = _kinds(card)
            optional = [name for name in _OPTIONAL if name in archive.namelist()]
            members = always | read_members(archive, [f"{name}.npy" for name in kinds] + optional)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"it is not an intact .npz file ({str(error) or 'cut off'})") from None
    arrays = {
        name: parse_array(f"{name}.npy", members[f"{name}.npy"], dtype, shape)
        for name, (dtype, shape) in kinds.items()
    }
    trees = None
    if card.boosting is not msgspec.UNSET:
        trees = BoostedTrees(
            features=arrays.pop("tree_features"),
            thresholds=arrays.pop("tree_thresholds"),
            leaves=arrays.pop("tree_leaves"),
            outcomes=np.array(card.outcome_of_tree),
            width=sum(len(node.outcomes) for node in card.nodes),
        )
        if trees.features.max() >= len(arrays["low"]):
            raise ModelError("tree_features.npy has features that do not exist")
    familiarity = _parse_familiarity(members, find_features(card))
    return Model(card, **arrays, trees=trees, familiarity=familiarity)


def _parse_familiarity(members: Mapping[str, bytes], feature_set: FeatureSet) -> Familiarity | None:
    missing = set(_OPTIONAL) - set(members)
    if len(missing) == len(_OPTIONAL):
        return None
    if missing:
        raise ModelError(f"it has no {', '.join(sorted(missing))}")
    return Familiarity.of(
        feature_set,
        {name: parse_array(file, members[file], "<f8") for file, name in _OPTIONAL.items()},
    )
