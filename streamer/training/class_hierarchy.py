"""How the classes of a model divide: first into groups that are easy to tell apart.

    dynamic ─┬─ walking          static ─┬─ laying           movement ─┬─ standing>sitting
             ├─ upstairs                 └─ upright ─┬─ sitting         └─ ...
             └─ downstairs                           └─ standing

Each division has its own covariance, as that of walking says nothing about sitting.
"""

from streamer.contracts.activities import is_movement
from streamer.model.class_tree import Outcomes

_WALKS = ("walking", "walking_upstairs", "walking_downstairs")
_UPRIGHT = ("sitting", "standing")
_STATIC = (*_UPRIGHT, "laying")


def single_division(activities: tuple[str, ...]) -> tuple[Outcomes, ...]:
    """Return one division into all classes."""
    return (tuple((i,) for i in range(len(activities))),)


def divide_classes(activities: tuple[str, ...]) -> tuple[Outcomes, ...]:
    """Divide the classes as above; with an unknown activity, return one division into all classes.

    Returns:
        Divisions, each after the one of which it divides an outcome.
    """
    names = set(activities)
    movements = tuple(name for name in activities if is_movement(name))
    if names - {*_WALKS, *_STATIC, *movements}:
        return single_division(activities)
    divisions = (
        (_WALKS, _STATIC, movements),
        tuple((walk,) for walk in _WALKS),
        (("laying",), _UPRIGHT),
        tuple((posture,) for posture in _UPRIGHT),
        tuple((movement,) for movement in movements),
    )
    found = []
    for division in divisions:
        outcomes = [tuple(activities.index(n) for n in group if n in names) for group in division]
        outcomes = [outcome for outcome in outcomes if outcome]
        if len(outcomes) > 1:
            found.append(tuple(outcomes))
    return tuple(found)
