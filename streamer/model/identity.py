"""The identity of a model, and the meaning of its classes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Identity and classes of a model; every event carries them."""

    id: str
    version: str
    labels: tuple[str, ...]
    """Names of the classes in the model, in the order of its scores."""
    activities: tuple[str, ...]
    """The activity or movement of each label, such as `walking` or `standing>sitting`."""
