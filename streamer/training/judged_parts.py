"""Splits a judgement by source and place, and counts the windows that were not judged."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from streamer.training.judgement import Judgement


class JudgedPart(NamedTuple):
    """The judgement of the devices of one source at one place.

    Attributes:
        source: its name; empty where there is only one source.
        place: empty if it is unknown.
    """

    source: str
    place: str
    judgement: Judgement

    @property
    def name(self) -> str:
        """The name of the part: its source and its place, as far as they are known."""
        return ", ".join(each for each in (self.source, self.place) if each) or "all"


class Unjudged(NamedTuple):
    """Windows that the figures do not include, and windows for which every label is wrong.

    Attributes:
        windows: all windows of the recordings.
        judged: those wholly within one labelled activity; the figures are about these.
        movements: those at least half within a movement; only the AUROC is about these.
        others: those that overlap a change of activity, or have no label.
        unknown: of the judged ones, those of each activity that the model does not know. Their
            labels count as wrong.
    """

    windows: int
    judged: int
    movements: int
    others: int
    unknown: dict[str, int]

    @property
    def sentence(self) -> str:
        """A sentence about the windows that were not judged."""
        text = (
            f"of {self.windows} windows {self.judged} are judged; {self.movements} within "
            f"movements count for the AUROC only, and {self.others} between activities or without "
            "a label do not count"
        )
        if self.unknown:
            names = ", ".join(f"{name} ({count} windows)" for name, count in self.unknown.items())
            text += f"; the model does not know {names}, and every label of these counts as wrong"
        return text


def split_by_source_and_place(judgement: Judgement) -> list[JudgedPart]:
    """Return the parts of a judgement that have any window within an activity."""
    windows = judgement.windows
    sources = np.array([_source_of(name) for name in windows.subjects.tolist()])
    pairs = sorted(set(zip(sources.tolist(), windows.places.tolist(), strict=True)))
    parts = [
        JudgedPart(source, place, judgement.of((sources == source) & (windows.places == place)))
        for source, place in pairs
    ]
    return [part for part in parts if part.judgement.within_activity.any()]


def _source_of(subject: str) -> str:
    source, slash, _ = subject.partition("/")
    return source if slash else ""


def count_unjudged(judgement: Judgement) -> Unjudged:
    """Count the windows that are not judged."""
    within, moving = judgement.within_activity, judgement.within_movement
    truths = Counter(judgement.windows.truths[within].tolist())
    return Unjudged(
        windows=len(judgement.windows),
        judged=int(within.sum()),
        movements=int(moving.sum()),
        others=int((~within & ~moving).sum()),
        unknown={
            name: count
            for name, count in sorted(truths.items())
            if name not in judgement.activities
        },
    )
