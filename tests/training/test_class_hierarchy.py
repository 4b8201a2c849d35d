import pytest

from streamer.datasets.class_names import (
    PUBLIC_NAMES,
    activity_of_label,
    label_of_activity,
    order_classes,
)
from streamer.features import GRAVITY_FRAME, UCI_HAR
from streamer.training.class_hierarchy import divide_classes, single_division

ALL = tuple(map(activity_of_label, PUBLIC_NAMES.values()))


def test_the_classes_of_the_public_data_set_divide_step_by_step() -> None:
    assert divide_classes(ALL, UCI_HAR) == (
        ((0, 1, 2), (4 - 1, 4, 5), (6, 7, 8, 9, 10, 11)),
        ((0,), (1,), (2,)),
        ((5,), (3, 4)),
        ((3,), (4,)),
        ((6,), (7,), (8,), (9,), (10,), (11,)),
    )


def test_in_the_frame_of_gravity_the_three_postures_are_one_division() -> None:
    assert divide_classes((*ALL[:6], "jogging"), GRAVITY_FRAME) == (
        ((0, 1, 2, 6), (3, 4, 5)),
        ((0,), (1,), (2,), (6,)),
        ((3,), (4,), (5,)),
    )


@pytest.mark.parametrize(
    ("activities", "expected"),
    [
        (("walking", "laying"), (((0,), (1,)),)),
        (("sitting", "standing"), (((0,), (1,)),)),
        (("sitting", "laying"), (((1,), (0,)),)),
        (("walking", "sitting", "standing"), (((0,), (1, 2)), ((1,), (2,)))),
        (("walking", "sitting", "sitting>standing"), (((0,), (1,), (2,)),)),
        (("rowing", "walking", "sitting"), (((0,), (1,), (2,)),)),
    ],
)
def test_fewer_classes_divide_as_far_as_they_go(
    activities: tuple[str, ...], expected: object
) -> None:
    assert divide_classes(activities, UCI_HAR) == expected


def test_a_single_division_has_every_class_as_an_outcome() -> None:
    assert single_division(("a", "b", "c")) == (((0,), (1,), (2,)),)


def test_classes_come_in_the_order_of_the_public_data_set_then_others_then_movements() -> None:
    found = order_classes(
        ["rowing", "laying>standing", "walking", "", "cycling", "sitting", "walking"]
    )

    assert found == ("walking", "sitting", "cycling", "rowing", "laying>standing")


def test_labels_are_those_of_the_public_data_set() -> None:
    assert tuple(map(label_of_activity, ALL)) == tuple(PUBLIC_NAMES.values())
    assert label_of_activity("rowing>cycling") == "ROWING_TO_CYCLING"
