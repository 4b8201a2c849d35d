"""The models that decide the windows of a partition, and which of them decides for which device.

The name of the models is part of the position::

    har@5e1b0c9a77d2+har-acc@91c04be2d1f3                   the models of the settings
    har@5e1b0c9a77d2&mine@07aa51c2be90*0.05                 and a canary for 5% of the devices
    har@5e1b0c9a77d2!mine@07aa51c2be90                      that was rolled back
"""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import numpy as np

from streamer.arrays import Bools, Floats
from streamer.model.identity import ModelIdentity
from streamer.predict.answers import Answers, Ask
from streamer.stream.windows import Window

if TYPE_CHECKING:
    from streamer.predict.canary import Canary
    from streamer.predict.shadow import Shadow

LONGEST_ID = 60
"""Characters of a model's id in the name of models: a position has room for 4,096 bytes."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Models that decide windows until other models replace them.

    Attributes:
        base: name of the models without the canary.
        ask: asks them.
        canary: decides for a share of the devices; None if there is none.
        withdrawn: name of the canary that was rolled back; empty if none was.
        shadow: is asked later about windows that are decided; None if there is none.
        is_first: whether they are the models with which the worker has started, without a canary.
    """

    base: str
    ask: Ask
    canary: "Canary | None" = None
    withdrawn: str = ""
    shadow: "Shadow | None" = None
    is_first: bool = False

    @property
    def name(self) -> str:
        """Identifies the models in positions, logs and metrics."""
        if self.withdrawn:
            return f"{self.base}!{self.withdrawn}"
        if self.canary is None:
            return self.base
        return f"{self.base}&{self.canary.name}*{self.canary.share:g}"

    def without_canary(self) -> Self:
        """Return the same models after their canary was rolled back."""
        assert self.canary is not None
        return replace(self, canary=None, withdrawn=self.canary.name)

    def ask_for(self, windows: Sequence[Window]) -> Ask:
        """Return a function that takes the features of these windows, in their order.

        Raises, when it is called:
            CanaryError: the canary has failed.
        """
        if self.canary is None and self.shadow is None:
            return self.ask

        async def asked(features: Floats) -> Answers:
            answers = await self._ask(windows, features)
            if self.shadow is not None:
                self.shadow.offer(windows, features, answers)
            return answers

        return asked

    def _ask(self, windows: Sequence[Window], features: Floats) -> Awaitable[Answers]:
        if self.canary is None:
            return self.ask(features)
        chosen = self.canary.choose([window.device_id for window in windows])
        if not chosen.any():
            return self.ask(features)
        return self._ask_both(self.canary, features, chosen)

    async def _ask_both(self, canary: "Canary", features: Floats, chosen: Bools) -> Answers:
        rest, those = np.flatnonzero(~chosen), np.flatnonzero(chosen)
        return Answers.join(
            len(features),
            [
                (rest, await self.ask(features[rest])),
                (those, await canary.ask(features[those], self.ask)),
            ],
        )


def find_withdrawn(name: str) -> str:
    """Return the canary that was rolled back, by the name of models; empty if none was."""
    return name.partition("!")[2]


def name_models(identities: Sequence[ModelIdentity]) -> str:
    """Return the name of models that serve together, without separators and spaces."""
    return "+".join(
        f"{quote(each.id[:LONGEST_ID], safe='')}@{quote(each.version, safe='')}"
        for each in identities
    )
