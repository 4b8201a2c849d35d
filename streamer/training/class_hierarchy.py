"""How a model's classes divide: first what is easy to tell apart, then what is not.

    dynamic ─┬─ walking          static ─┬─ laying           movement ─┬─ standing>sitting
             ├─ upstairs                 └─ upright ─┬─ sitting         └─ ...
             └─ downstairs                           └─ standing

Each division then has its own covariance: that of walking says nothing about sitting.
"""

from streamer.contracts.activities import is_movement
from streamer.model.class_tree import Outcomes

_WALKS = ("walking", "walking_upstairs", "walking_downstairs")
_UPRIGHT = ("sitting", "standing")
_STATIC = (*_UPRIGHT, "laying")


def single_division(activities: tuple[str, ...]) -> tuple[Outcomes, ...]:
    """One division into all classes."""
    return (tuple((i,) for i in range(len(activities))),)


def divide_classes(activities: tuple[str, ...]) -> tuple[Outcomes, ...]:
    """Divisions of classes, as far as these have them; one into all of them where one is unknown.

    Returns:
        Divisions, each after the one that sets its classes aside.
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
