"""Names of classes: as the public data set labels them, and as events call them."""

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
"""What the numbers mean in the public download, where ``activity_labels.txt`` does not say."""

_POSTURES = {"stand": "standing", "sit": "sitting", "lie": "laying"}


def activity_of_label(label: str) -> str:
    """What we call something that recordings call so: ``STAND_TO_SIT`` is `standing>sitting`."""
    name = label.strip().lower().replace(" ", "_")
    before, to, after = name.partition("_to_")
    if not to:
        return name
    return name_movement(_POSTURES.get(before, before), _POSTURES.get(after, after))


_KNOWN = {activity_of_label(label): label for label in PUBLIC_NAMES.values()}


def classes_of(truths: Iterable[str]) -> tuple[str, ...]:
    """The classes that occur: activities, then movements; those that we know come first."""
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
    """What models call a class: as the public data set does."""
    return _KNOWN.get(activity, activity.upper().replace(">", "_TO_"))
