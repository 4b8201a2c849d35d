"""The model file: a linear classifier in an ``.npz`` that is checked before it is used.

The file is an uncompressed zip that `numpy.load` opens too:

| member | content |
|---|---|
| `card.json` | who the model is, its classes, the features it takes, how it was trained |
| `weights.npy` | float64 (classes, features), on the published scale of the features |
| `bias.npy` | float64 (classes,) |

Nothing in it is executed (no pickle). Nothing is compressed, so the size of the file bounds the
memory that reading it takes, and the same model is the same bytes everywhere.
"""

import hashlib
import zipfile
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from streamer.contracts.activities import UNKNOWN
from streamer.contracts.events import FeatureSet
from streamer.errors import ModelError
from streamer.features import NAMES, UCI_HAR
from streamer.predict.protocol import ModelCard

SHIPPED = Path(__file__).with_name("har.npz")
"""The model in the package."""

_LARGEST_FILE = 1 << 20
FEATURES = FeatureSet(UCI_HAR.name, UCI_HAR.version)
_MEMBERS = ("card.json", "weights.npy", "bias.npy")
_EARLIEST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a model comes from."""

    algorithm: str
    seed: int
    subjects: tuple[int, ...]
    windows: int
    copies: int
    """Varied copies of each window that it has learned from too."""
    macro_f1: float
    """On people left out of training, cross-validated."""


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of a model but its numbers."""

    id: str
    feature_set: FeatureSet
    labels: tuple[str, ...]
    activities: tuple[str, ...]
    training: Training


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """A classifier whose scores are the softmax of ``weights @ features + bias``.

    Attributes:
        card: who it is and what it takes.
        weights: (classes, features).
        bias: (classes,).
    """

    card: Card
    weights: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]

    @property
    def version(self) -> str:
        """A hash of everything in the model, so that no two models share a version."""
        return hashlib.sha256(b"".join(_members(self).values())).hexdigest()[:12]

    @property
    def signature(self) -> ModelCard:
        """What every event says about the model."""
        return ModelCard(
            self.card.id, self.version, self.card.labels, tuple(map(str, self.card.activities))
        )


def save(path: Path, model: LinearModel) -> None:
    """Write a model; the same model gives the same bytes.

    Raises:
        ModelError: the file cannot be written.
    """
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, content in _members(model).items():
                archive.writestr(zipfile.ZipInfo(name, _EARLIEST_ZIP_TIME), content)
    except OSError as error:
        raise ModelError(f"model {path} cannot be written: {error.strerror}") from None


def load(path: Path = SHIPPED) -> LinearModel:
    """Read a model after checking that it is one and takes our features.

    Raises:
        ModelError: saying what is wrong with the file, and what to do.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise ModelError(f"larger than {_LARGEST_FILE:,} bytes, which no model of ours is")
        return _parse(content)
    except OSError as error:
        raise ModelError(f"model {path} cannot be read: {error.strerror}") from None
    except ModelError as error:
        raise ModelError(
            f"model {path} cannot be used: {error}\n"
            "train one with `streamer model train`, or use the one in the package: no --model"
        ) from None


def _members(model: LinearModel) -> dict[str, bytes]:
    """The files in the zip, by name."""
    return {
        "card.json": msgspec.json.format(msgspec.json.encode(model.card)) + b"\n",
        "weights.npy": _npy_bytes(model.weights),
        "bias.npy": _npy_bytes(model.bias),
    }


def _npy_bytes(array: npt.NDArray[np.float64]) -> bytes:
    buffer = BytesIO()
    npy.write_array(buffer, np.ascontiguousarray(array, "<f8"), version=(1, 0))
    return buffer.getvalue()


def _parse(content: bytes) -> LinearModel:
    members = _unzip(content)
    card = _checked_card(members["card.json"])
    classes = len(card.labels)
    return LinearModel(
        card,
        weights=_checked_array("weights.npy", members["weights.npy"], (classes, len(NAMES))),
        bias=_checked_array("bias.npy", members["bias.npy"], (classes,)),
    )


def _unzip(content: bytes) -> dict[str, bytes]:
    """Take the three members out of the zip, none of which may unpack to more than it holds."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            if missing := set(_MEMBERS) - set(members):
                raise ModelError(f"it has no {', '.join(sorted(missing))}")
            for name in _MEMBERS:
                if members[name].compress_type != zipfile.ZIP_STORED:
                    raise ModelError(
                        f"{name} is compressed, to {members[name].file_size:,} bytes when unpacked;"
                        " a model is stored uncompressed"
                    )
            return {name: archive.read(name) for name in _MEMBERS}
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"it is not an intact .npz file ({str(error) or 'cut off'})") from None


def _checked_card(content: bytes) -> Card:
    try:
        card = msgspec.json.decode(content, type=Card)
    except msgspec.DecodeError as error:
        raise ModelError(f"card.json: {error}") from None
    if card.feature_set != FEATURES:
        raise ModelError(f"it takes {card.feature_set}, this program computes {FEATURES}")
    if len(card.labels) < 2 or len(set(card.labels)) < len(card.labels):
        raise ModelError(f"its labels {list(card.labels)} are not two or more different names")
    if len(card.activities) != len(card.labels):
        raise ModelError(f"{len(card.labels)} labels have {len(card.activities)} activities")
    if UNKNOWN in card.activities:
        raise ModelError(f"{UNKNOWN!r} is what low confidence is called, not a class")
    return card


def _checked_array(name: str, content: bytes, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Decode a `.npy` whose header says exactly what we expect."""
    file = BytesIO(content)
    try:
        if npy.read_magic(file) != (1, 0):
            raise ValueError("a format version other than 1.0")
        found_shape, fortran_order, dtype = npy.read_array_header_1_0(file)
    except ValueError as error:
        raise ModelError(f"{name} is not a .npy array ({error})") from None
    if (found_shape, dtype, fortran_order) != (shape, np.dtype("<f8"), False):
        order = "Fortran" if fortran_order else "C"
        raise ModelError(
            f"{name} is {dtype} {found_shape} in {order} order, not float64 {shape} in C order"
        )
    values = np.frombuffer(file.read(), dtype)
    if values.size != prod(shape) or not np.isfinite(values).all():
        raise ModelError(f"{name} does not hold {prod(shape)} finite numbers")
    return values.reshape(shape)
