"""Which model decided, and what its classes stand for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Who decided: every event carries this."""

    id: str
    version: str
    labels: tuple[str, ...]
    """The classes as the model names them, in the order of its scores."""
    activities: tuple[str, ...]
    """What the classes stand for, one for each label: `walking`, `standing>sitting`."""
