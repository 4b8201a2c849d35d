"""What a registry says of its versions, and which of them were current."""

from typing import NamedTuple

import msgspec


class StoredFile(msgspec.Struct, frozen=True):
    """What a file of a version must be."""

    size: int
    sha256: str


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a model, as it was added. Figures and reason are those of its judgement."""

    id: str
    """Equal to the `model.version` of its events."""
    model: str
    """The id in the model's card: equal to the `model.id` of its events."""
    created_ms: int
    """When it was added, milliseconds since the epoch."""
    parent: str | None
    """The id of the version that it was made from; None for the first ones."""
    files: dict[str, StoredFile]
    figures: dict[str, float]
    note: str
    """What it has learned from, or why it was made."""


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """When a version became current, and why. A rollback leads back to the version before."""

    version: str
    at_ms: int
    reason: str
    rollback: bool = False


class Promotions(msgspec.Struct, frozen=True):
    """The content of `current.json`."""

    promotions: list[Promotion]


class History(NamedTuple):
    """All versions, oldest first, and the promotions, oldest first."""

    versions: list[Version]
    promotions: list[Promotion]


def find_earlier(promotions: list[Promotion]) -> str | None:
    """Return the version that a rollback makes current; None if there is none."""
    stack: list[str] = []
    for promotion in promotions:
        if promotion.rollback and len(stack) > 1:
            stack.pop()
        else:
            stack.append(promotion.version)
    return stack[-2] if len(stack) > 1 else None
