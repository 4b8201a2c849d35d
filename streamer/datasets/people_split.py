"""Splits labelled features by people: nobody is in both parts. Pure."""

from dataclasses import replace

import numpy as np

from streamer.arrays import Bools
from streamer.datasets.feature_table import FeatureTable
from streamer.errors import DataError


def split_by_people(table: FeatureTable, share: float) -> tuple[FeatureTable, FeatureTable]:
    """Return two tables: of the first people, and of the others, in the order of their numbers.

    Args:
        table: the records; it has subjects.
        share: about this share of the records, 0 to 1, goes to the first part.

    Raises:
        DataError: there is one person only, or none is named; or a part lacks an activity.
    """
    if table.subjects is None:
        raise DataError(
            "the data do not say whose records these are, so they cannot be split by people; "
            "convert them --with-subject, or name a file in S3 with --data"
        )
    people = np.unique(table.subjects)
    if len(people) < 2:
        raise DataError(
            f"all records are of person {people[0]}; a model is judged by people that it has not "
            "learned from, so record two people or more"
        )
    counts = np.array([(table.subjects == person).sum() for person in people])
    # The number of people whose records come closest to the share; each part has one at least.
    reached = np.cumsum(counts)[:-1] / len(table)
    boundary = people[int(np.argmin(np.abs(reached - share)))]
    first = np.asarray(table.subjects <= boundary)
    parts = take_records(table, first), take_records(table, ~first)
    for part, other, what in ((*parts, "training"), (*parts[::-1], "evaluation")):
        if missing := set(other.labels) - set(part.labels):
            label = min(missing)
            raise DataError(
                f"the {what} part has no record of the activity "
                f"{table.names.get(label, label)}; record it with more people, or change --share"
            )
    return parts


def take_records(table: FeatureTable, chosen: Bools) -> FeatureTable:
    """Return the records that a mask (n,) chooses."""
    assert table.subjects is not None
    rows = np.flatnonzero(chosen)
    labels = [table.labels[i] for i in rows]
    return replace(
        table, features=table.features[rows], labels=labels, subjects=table.subjects[rows]
    )
