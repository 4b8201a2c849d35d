"""The model file: a tree of linear classifiers in an ``.npz``, checked before it is used.

The file is an uncompressed zip that `numpy.load` opens too:

| member | content |
|---|---|
| `card.json` | identity, classes and their tree, how the model was trained and evaluated |
| `low.npy`, `high.npy` | float64 (features,): limits to which features are clipped |
| `weights.npy` | float64 (rows, features): one row for each logit of a node but its last |
| `bias.npy` | float64 (rows,): one number for each row of the weights |
| `deciles.npy` | float64 (features, 9): deciles of the features of the training windows |
| `familiarity_*.npy` | float64: see `streamer.model.familiarity`; not in every model |

Reading executes nothing (no pickle). Members are stored uncompressed: the size of the file bounds
the memory that reading takes, and equal models have equal bytes.
"""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from math import prod
from pathlib import Path

import msgspec
import numpy as np
from numpy.lib import format as npy

from streamer.arrays import Floats
from streamer.errors import ModelError
from streamer.features import FeatureSet
from streamer.model.card import DriftReference, ModelCard, find_features, parse_card
from streamer.model.class_tree import ClassTree
from streamer.model.familiarity import MEMBERS as FAMILIARITY
from streamer.model.familiarity import Familiarity
from streamer.model.identity import ModelIdentity

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
_MEMBERS = ("card.json", *(f"{name}.npy" for name in _ARRAYS))
_OPTIONAL = {f"familiarity_{name}.npy": name for name in FAMILIARITY}
"""Members that an older file lacks, by the names of their arrays."""
_EARLIEST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Model:
    """A tree of linear classifiers.

    The logits are ``weights @ clipped features + bias``. `streamer.model.class_tree` turns them
    into probabilities. A plain linear classifier is a tree with one node.

    Attributes:
        card: identity, classes and training of the model.
        low, high: (features,) limits to which features are clipped.
        weights: (rows, features), ordered by node.
        bias: (rows,).
        deciles: (features, 9) deciles of the training windows.
        familiarity: what the model has learned of movement; None where nobody has stored it.
    """

    card: ModelCard
    low: Floats
    high: Floats
    weights: Floats
    bias: Floats
    deciles: Floats
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
        # A BLAS product gives a row other last bits in other batches, and `einsum` picks its loops
        # by memory layout: unoptimized on C order, each row is summed by itself.
        rows = np.maximum(np.ascontiguousarray(features), self.low)
        np.minimum(rows, self.high, out=rows)
        logits = np.einsum("nf,rf->nr", rows, self.weights, optimize=False) + self.bias
        return self._division.probabilities(logits)

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
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, content in _members(model).items():
                archive.writestr(zipfile.ZipInfo(name, _EARLIEST_ZIP_TIME), content)
    except OSError as error:
        raise ModelError(f"model {path} cannot be written: {error.strerror}") from None


def load(path: Path = DEFAULT_MODEL) -> Model:
    """Read a model file, or a model in the package by its name, and check its contents.

    Raises:
        ModelError: the file cannot be used; the message says why and what to do.
    """
    try:
        with NAMED.get(str(path), path).open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise ModelError(f"the file is larger than {_LARGEST_FILE:,} bytes")
        return _parse(content)
    except OSError as error:
        raise ModelError(f"model {path} cannot be read: {error.strerror}") from None
    except ModelError as error:
        raise ModelError(
            f"model {path} cannot be used: {error}\n"
            "train a model with `streamer model train`, or omit --model to use the shipped one"
        ) from None


def _members(model: Model) -> dict[str, bytes]:
    """Return the content of each file in the zip, by name."""
    card = msgspec.json.format(msgspec.json.encode(model.card)) + b"\n"
    arrays = {name: getattr(model, name) for name in _ARRAYS}
    if model.familiarity is not None:
        arrays |= {f"familiarity_{name}": a for name, a in model.familiarity.arrays.items()}
    return {"card.json": card} | {f"{name}.npy": _npy_bytes(a) for name, a in arrays.items()}


def _npy_bytes(array: Floats) -> bytes:
    buffer = BytesIO()
    npy.write_array(buffer, np.ascontiguousarray(array, "<f8"), version=(1, 0))
    return buffer.getvalue()


def _parse(content: bytes) -> Model:
    members = _unzip(content)
    card = parse_card(members["card.json"])
    rows = sum(len(node.outcome_of_logit) - 1 for node in card.nodes)
    features = len(find_features(card).names)
    shapes = {
        "low": (features,),
        "high": (features,),
        "weights": (rows, features),
        "bias": (rows,),
        "deciles": (features, DECILES),
    }
    return Model(
        card,
        **{
            name: _checked_array(f"{name}.npy", members[f"{name}.npy"], shape)
            for name, shape in shapes.items()
        },
        familiarity=_parse_familiarity(members, find_features(card)),
    )


def _parse_familiarity(members: Mapping[str, bytes], feature_set: FeatureSet) -> Familiarity | None:
    missing = set(_OPTIONAL) - set(members)
    if len(missing) == len(_OPTIONAL):
        return None
    if missing:
        raise ModelError(f"it has no {', '.join(sorted(missing))}")
    return Familiarity.of(
        feature_set, {name: _checked_array(file, members[file]) for file, name in _OPTIONAL.items()}
    )


def _unzip(content: bytes) -> dict[str, bytes]:
    """Read the members of the zip; refuse compressed ones, whose size nothing bounds."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            if missing := set(_MEMBERS) - set(members):
                raise ModelError(f"it has no {', '.join(sorted(missing))}")
            wanted = [name for name in (*_MEMBERS, *_OPTIONAL) if name in members]
            for name in wanted:
                if members[name].compress_type != zipfile.ZIP_STORED:
                    raise ModelError(
                        f"{name} is compressed, to {members[name].file_size:,} bytes when unpacked;"
                        " a model is stored uncompressed"
                    )
            return {name: archive.read(name) for name in wanted}
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"it is not an intact .npz file ({str(error) or 'cut off'})") from None


def _checked_array(name: str, content: bytes, shape: tuple[int, ...] | None = None) -> Floats:
    """Decode a `.npy` file of the expected type, and of this shape if one is given."""
    file = BytesIO(content)
    try:
        if npy.read_magic(file) != (1, 0):
            raise ValueError("a format version other than 1.0")
        found_shape, fortran_order, dtype = npy.read_array_header_1_0(file)
    except ValueError as error:
        raise ModelError(f"{name} is not a .npy array ({error})") from None
    shape = found_shape if shape is None else shape
    if (found_shape, dtype, fortran_order) != (shape, np.dtype("<f8"), False):
        order = "Fortran" if fortran_order else "C"
        raise ModelError(
            f"{name} is {dtype} {found_shape} in {order} order, not float64 {shape} in C order"
        )
    values = np.frombuffer(file.read(), dtype)
    if values.size != prod(shape) or not np.isfinite(values).all():
        raise ModelError(f"{name} does not hold {prod(shape)} finite numbers")
    return values.reshape(shape)
