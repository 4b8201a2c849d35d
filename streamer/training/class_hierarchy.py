"""Divides the classes of a model into a tree: first into groups that are easy to separate.

    dynamic ─┬─ walking          static ─┬─ laying           movement ─┬─ standing>sitting
             ├─ upstairs                 └─ upright ─┬─ sitting         └─ ...
             ├─ downstairs                           └─ standing
             └─ jogging

Each division has its own covariance, because the covariance of walking does not apply to sitting.
In the frame of gravity lying and upright windows are similar, so the three postures are one
division.
"""

from streamer.contracts.activities import GAITS, is_movement
from streamer.features import FeatureSet
from streamer.model.class_tree import Outcomes

_UPRIGHT = ("sitting", "standing")
POSTURES = (*_UPRIGHT, "laying")


def single_division(activities: tuple[str, ...]) -> tuple[Outcomes, ...]:
    """Return one division into all classes."""
    return (tuple((i,) for i in range(len(activities))),)


def divide_classes(activities: tuple[str, ...], feature_set: FeatureSet) -> tuple[Outcomes, ...]:
    """Divide the classes as above; with an unknown activity, return one division into all classes.

    Returns:
        Divisions, each after the one of which it divides an outcome.
    """
    names = set(activities)
    movements = tuple(name for name in activities if is_movement(name))
    if names - {*GAITS, *POSTURES, *movements}:
        return single_division(activities)
    postures: tuple[tuple[tuple[str, ...], ...], ...] = (
        (("laying",), _UPRIGHT),
        tuple((posture,) for posture in _UPRIGHT),
    )
    if feature_set.in_gravity_frame:
        postures = (tuple((posture,) for posture in POSTURES),)
    divisions = (
        (GAITS, POSTURES, movements),
        tuple((gait,) for gait in GAITS),
        *postures,
        tuple((movement,) for movement in movements),
    )
    found = []
    for division in divisions:
        outcomes = [tuple(activities.index(n) for n in group if n in names) for group in division]
        outcomes = [outcome for outcome in outcomes if outcome]
        if len(outcomes) > 1:
            found.append(tuple(outcomes))
    return tuple(found)
