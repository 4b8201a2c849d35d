"""The models that decide the windows of a partition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from streamer.model.identity import ModelIdentity
from streamer.predict.answers import Ask
from streamer.stream.windows import Window

LONGEST_ID = 60
"""Characters of a model's id in the name of models: a position has room for 4,096 bytes."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Models that decide windows until other models replace them.

    Attributes:
        name: identifies the models in positions, logs and metrics.
        ask: asks the models.
        is_first: whether they are the models with which the worker has started.
    """

    name: str
    ask: Ask
    is_first: bool = False

    def ask_for(self, windows: Sequence[Window]) -> Ask:  # noqa: ARG002
        """Return a function that takes the features of these windows, in their order."""
        return self.ask


class Models(Protocol):
    """The models of a worker."""

    @property
    def serving(self) -> Serving:
        """The models that decide now. A partition changes to others between two fetches."""

    async def look(self) -> None:
        """Look for other models now."""


@dataclass(frozen=True, slots=True)
class FixedModels:
    """Models that are never replaced while the worker runs."""

    serving: Serving

    async def look(self) -> None:
        """Do nothing: there are no others."""


def name_models(identities: Sequence[ModelIdentity]) -> str:
    """Return the name of models that serve together, without semicolons and spaces."""
    return "+".join(
        f"{quote(each.id[:LONGEST_ID], safe='')}@{quote(each.version, safe='')}"
        for each in identities
    )
