"""Updates the current model of a registry by ground truth."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamer.datasets.feature_store import FeatureStore
from streamer.datasets.ground_truth import Joined, join_labels
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.errors import DataError
from streamer.kafka.ground_truth import read_labels
from streamer.model.artifact import Model
from streamer.model.registry import Registry
from streamer.model.versions import Version
from streamer.settings import Settings
from streamer.training.fine_tuning import fine_tune
from streamer.training.learned_windows import (
    FILE,
    add_windows,
    decode_learned,
    encode_learned,
    find_unlearned,
    label_stored_windows,
)
from streamer.training.training_windows import TrainingSource, read_training_windows
from streamer.training.updating import Verdict, check_new_windows, judge_update


@dataclass(frozen=True, slots=True)
class Update:
    """What an update has found and done.

    Attributes:
        parent: the version that was current.
        joined: stored windows and ground truth.
        learned: windows with ground truth that the parent has not learned from.
        notes: about ground truth that does not count.
        verdict: what the candidate is worth; None if there is nothing new to learn.
        added: the version that was added; None in a dry run.
        promoted: whether it is the current one now.
    """

    parent: Version
    joined: Joined
    learned: int
    notes: list[str]
    verdict: Verdict | None = None
    added: Version | None = None
    promoted: bool = False


def update_model(
    settings: Settings,
    registry: Registry,
    sources: Sequence[TrainingSource],
    selection: dict[str, Any],
    *,
    dry_run: bool,
    report: ReportProgress = ignore_progress,
) -> Update:
    """Learn from ground truth, judge, and promote what is better.

    Args:
        settings: name Kafka, the topic of labels and the store of features.
        registry: has the current version.
        sources: recordings that the current version has learned from; needed if the registry does
            not have its data.
        selection: the other arguments of `read_training_windows`.
        dry_run: change nothing.
        report: called when a part of the work is done.

    Raises:
        DataError: there is no ground truth, or nothing to judge by.
        ModelError: the registry has no current version, or it cannot be used.
        ConflictError: another update was faster.
        KafkaError: no broker answers, or there is no topic of labels.
    """
    parent = registry.current()
    model = registry.load(parent)
    old = _read_learned(registry, parent, model, sources, selection | {"report": report})
    joined, new, incomplete = _read_new(settings, model, report)
    without = (
        [f"{incomplete} windows of devices without a gyroscope do not count: the model needs one"]
        if incomplete
        else []
    )
    new = find_unlearned(new, old)
    learned = int((new.truths != UNLABELLED).sum())
    if not learned:
        return Update(parent, joined, 0, without)
    new, notes = check_new_windows(model, new)
    notes = without + notes
    verdict = judge_update(model, new, old, report)
    if dry_run:
        return Update(parent, joined, learned, notes, verdict)
    labelled = new.of(new.truths != UNLABELLED)
    candidate = fine_tune(model, labelled, old, model.card.id)
    figures = {
        "before": verdict.new_people.before,
        "after": verdict.new_people.after,
        "known_before": verdict.known_people.before,
        "known_after": verdict.known_people.after,
        "p": verdict.chance,
    }
    people = len(set(labelled.subjects.tolist()))
    added = registry.add(
        candidate,
        data={FILE: encode_learned(add_windows(old, labelled))},
        figures={name: round(value, 4) for name, value in figures.items()},
        parent=parent.id,
        note=f"{len(labelled)} windows of {people} devices with ground truth",
    )
    if verdict.against:
        return Update(parent, joined, learned, notes, verdict, added)
    reason = (
        f"smoothed macro-F1 {verdict.new_people.before:.4f} to {verdict.new_people.after:.4f} on "
        f"people with ground truth, p = {verdict.chance:.3f}"
    )
    registry.promote(added.id, reason, instead_of=parent.id)
    return Update(parent, joined, learned, notes, verdict, added, promoted=True)


def _read_learned(
    registry: Registry,
    version: Version,
    model: Model,
    sources: Sequence[TrainingSource],
    selection: dict[str, Any],
) -> LabelledWindows:
    """Return the windows that a version has learned from, and those of more recordings."""
    parts = []
    if f"data/{FILE}" in version.files:
        content = registry.read(version, f"data/{FILE}")
        parts.append(decode_learned(content, model.feature_set))
    if sources:
        given = selection | {"feature_set": model.feature_set, "with_copies": False}
        windows, _ = read_training_windows(sources, **given)
        if windows.feature_set is not model.feature_set:
            raise DataError(
                f"the model takes the features {model.feature_set.name}, and the source has those "
                f"of {windows.feature_set.name}; give recordings"
            )
        parts.append(windows)
    if not parts:
        raise DataError(
            f"version {version.id} in {registry.location} has no data that it has learned from, so "
            "nobody can say what an update costs the people that it knows; give its recordings "
            "with --source PLACE=FOLDER. Later updates need them no more"
        )
    return LabelledWindows.joined(parts)


def _read_new(
    settings: Settings, model: Model, report: ReportProgress
) -> tuple[Joined, LabelledWindows, int]:
    """Return stored windows joined with ground truth, and the windows of the devices that have it.

    The last part is the number of windows that lack features of a gyroscope, which are left out.

    Raises:
        DataError: there are no labels, or no window lies in one.
    """
    labels = asyncio.run(read_labels(settings))
    if not labels:
        raise DataError(
            f"the topic {settings.labels_topic} has no labels; `streamer feedback` or the gateway "
            "writes them"
        )
    assert settings.store_features is not None
    store = FeatureStore.open(settings.store_features)
    device_ids = {label.device_id for label in labels}
    windows = store.read(model.feature_set, device_ids=device_ids, report=report)
    complete = np.flatnonzero(~np.isnan(windows.features).any(axis=1))
    incomplete = len(windows) - len(complete)
    windows = windows.of(complete)
    now_ms = time.time_ns() // 1_000_000
    joined = join_labels(windows, labels, settings.known_activities, now_ms)
    if not len(joined.windows):
        named = ", ".join(joined.unknown_devices[:10])
        raise DataError(
            f"no window in {store.location} lies wholly in one of the {len(labels)} labels"
            + (f"; there are no windows of {named}" if named else "")
            + f". {len(windows)} windows of these devices have the features "
            f"{model.feature_set.name}, which the model takes"
        )
    new = label_stored_windows(windows, joined, model.feature_set)
    return joined, new, incomplete
