"""The identity of a model, and the meaning of its classes."""

from dataclasses import dataclass
from typing import Final

from streamer.contracts.events import FeatureSetVersion
from streamer.features import UCI_HAR

PUBLISHED: Final = FeatureSetVersion(UCI_HAR.name, UCI_HAR.version)
"""The features of a model that names no others."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Identity and classes of a model; every event carries them."""

    id: str
    version: str
    labels: tuple[str, ...]
    """Names of the classes in the model, in the order of its scores."""
    activities: tuple[str, ...]
    """The activity or movement of each label, such as `walking` or `standing>sitting`."""
    feature_set: FeatureSetVersion = PUBLISHED
