"""Translates labels of the public data set to activities of events, and back."""

from collections.abc import Iterable

from streamer.contracts.activities import is_movement, name_movement

PUBLIC_NAMES = {
    1: "WALKING",
    2: "WALKING_UPSTAIRS",
    3: "WALKING_DOWNSTAIRS",
    4: "SITTING",
    5: "STANDING",
    6: "LAYING",
    7: "STAND_TO_SIT",
    8: "SIT_TO_STAND",
    9: "SIT_TO_LIE",
    10: "LIE_TO_SIT",
    11: "STAND_TO_LIE",
    12: "LIE_TO_STAND",
}
"""Labels by their number in the public download, without ``activity_labels.txt``."""

_POSTURES = {"stand": "standing", "sit": "sitting", "lie": "laying"}


def activity_of_label(label: str) -> str:
    """Return the activity of a label: `standing>sitting` for ``STAND_TO_SIT``."""
    name = label.strip().lower().replace(" ", "_")
    before, to, after = name.partition("_to_")
    if not to:
        return name
    return name_movement(_POSTURES.get(before, before), _POSTURES.get(after, after))


_KNOWN = {activity_of_label(label): label for label in PUBLIC_NAMES.values()}


def order_classes(truths: Iterable[str]) -> tuple[str, ...]:
    """Return the different classes: activities, then movements; public ones first in each."""
    known = list(_KNOWN)
    return tuple(
        sorted(
            {truth for truth in truths if truth},
            key=lambda name: (
                is_movement(name),
                known.index(name) if name in _KNOWN else len(known),
                name,
            ),
        )
    )


def label_of_activity(activity: str) -> str:
    """Return the label of an activity: ``STAND_TO_SIT`` for `standing>sitting`."""
    return _KNOWN.get(activity, activity.upper().replace(">", "_TO_"))
