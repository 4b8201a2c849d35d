r"""Paths of values in a record, and the slots that a reader fills with them.

A path names the way to a value: `values.x` for a field in an object, `acc.0` for an element of a
list, `payload[].time` for a field of every element of a list, `x[]` for every number of a list.
`[]` stands for the samples of a record, so a path has it once at most. `\.` is a point in a name.
"""

import re
from dataclasses import dataclass
from enum import IntEnum

EACH = "[]"
"""The step to every element of a list."""

_NAME = re.compile(r"(?:\\.|[^.\[\\])+|\[\]|\[|\.")


def parse_path(path: str) -> tuple[str, ...]:
    """Return the steps of a path.

    Raises:
        ValueError: it is not a path, or has more than one `[]`.
    """
    steps: list[str] = []
    expects_name = True
    for part in _NAME.findall(path):
        if part == ".":
            if expects_name:
                raise ValueError(f"the path {path!r} has a point without a name before it")
            expects_name = True
        elif part == EACH:
            steps.append(EACH)
            expects_name = False
        elif part == "[":
            raise ValueError(f"the path {path!r} has a bracket that is not `[]`")
        else:
            steps.append(re.sub(r"\\(.)", r"\1", part))
            expects_name = False
    if expects_name:
        raise ValueError(f"the path {path!r} ends without a name")
    if steps.count(EACH) > 1:
        raise ValueError(f"the path {path!r} has more than one `[]`")
    return tuple(steps)


class Kind(IntEnum):
    """What a slot holds."""

    NUMBER = 0
    """A number; also one in quotes."""
    TIME = 1
    """A time in ISO 8601, as microseconds since 1970."""
    CHOICE = 2
    """A text, as its index in `Slot.choices`; -1 for any other text."""
    DEVICE = 3
    """The device id."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A value that a reader looks for."""

    path: str
    steps: tuple[str, ...]
    kind: Kind
    choices: tuple[str, ...] = ()

    @property
    def is_of_rows(self) -> bool:
        """Whether every sample of a record has a value of its own."""
        return EACH in self.steps
