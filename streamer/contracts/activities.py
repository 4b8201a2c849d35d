"""Names of what people do, as models, events and recordings use them.

The author of a model chooses the name of an activity (`walking`, `rowing`). A movement between two
activities has both names: `standing>sitting`. An event has `unknown` in the place of an activity if
the worker cannot decide; no class of a model may have that name.
"""

import re
from collections.abc import Sequence

UNKNOWN = "unknown"

GAITS = ("walking", "walking_upstairs", "walking_downstairs", "jogging")
"""Activities in which a person takes steps."""

_TO = ">"
_NAME = re.compile(rf"\w[\w .-]*({_TO}\w[\w .-]*)?")


def is_movement(name: str) -> bool:
    """Return whether the name is that of a movement between two activities."""
    return _TO in name


def name_movement(before: str, after: str) -> str:
    """Return the name of the movement from one activity to another."""
    return f"{before}{_TO}{after}"


def split_movement(name: str) -> tuple[str, str]:
    """Return the activity before a movement and the activity after it."""
    before, _, after = name.partition(_TO)
    return before, after


def check_activity_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a model's classes unchanged, as a tuple.

    Raises:
        ValueError: a name is not the name of an activity or a movement, or it is `unknown`.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no activity, such as walking or standing>sitting")
        if name == UNKNOWN:
            raise ValueError(f"{UNKNOWN!r} is reserved for doubtful windows; rename this class")
    return tuple(names)
