"""Names of what people do, as models, events and recordings use them.

An activity is whatever a model's author calls it (`walking`, `rowing`). A movement from one to
another is written with both: `standing>sitting`. `unknown` is what is published in the place of
either when nothing better can be said; no class of a model may have that name.
"""

import re
from collections.abc import Sequence

UNKNOWN = "unknown"

_TO = ">"
_NAME = re.compile(rf"\w[\w .-]*({_TO}\w[\w .-]*)?")


def is_movement(name: str) -> bool:
    """Whether this is a passage between two activities rather than one of them."""
    return _TO in name


def movement(before: str, after: str) -> str:
    """Name the passage from one activity to another."""
    return f"{before}{_TO}{after}"


def ends(name: str) -> tuple[str, str]:
    """What somebody did before a movement, and does after it."""
    before, _, after = name.partition(_TO)
    return before, after


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """Names that the classes of a model may stand for, as they are.

    Raises:
        ValueError: one is no name, or `unknown`.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no activity, such as walking or standing>sitting")
        if name == UNKNOWN:
            raise ValueError(f"{UNKNOWN!r} is what doubt is called, not a class")
    return tuple(names)
