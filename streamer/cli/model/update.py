"""`streamer model update` updates the current model of a registry by ground truth."""

from functools import partial
from typing import Any

import click

from streamer.cli.features import report_unused_labels
from streamer.cli.model.registry_option import registry_option
from streamer.cli.model.source_options import source_options
from streamer.cli.options import settings_options
from streamer.cli.progress import show_progress
from streamer.errors import SettingsError
from streamer.model.registry import Registry
from streamer.process import log
from streamer.settings import Settings
from streamer.terminal import echo
from streamer.tools.model_update import Update, update_model
from streamer.training.training_windows import TrainingSource
from streamer.training.updating import Compared


@click.command(short_help="Update the current model of a registry by ground truth.")
@settings_options("bootstrap_servers", "labels_topic", "label_activities", "store_features")
@registry_option
@click.option("--dry-run", is_flag=True, help="Judge only; add and promote nothing.")
@partial(source_options, required=False)
def update(
    settings: Settings,
    registry: Registry,
    dry_run: bool,
    sources: list[TrainingSource],
    selection: dict[str, Any],
) -> None:
    """Learn from windows with ground truth, and promote the new model if it is better.

    Old and new model are judged by the same people, each left out of the learning, and by the
    newest labels. --source names the recordings that the current version has learned from; only the
    first update needs it. The exit code is 0, also if nothing was promoted.
    """
    log.configure(settings)
    if settings.store_features is None:
        raise SettingsError("store_features is not set: it names the windows that workers store")
    with show_progress() as report:
        done = update_model(settings, registry, sources, selection, dry_run=dry_run, report=report)
    report_unused_labels(done.joined)
    for note in done.notes:
        echo(note, err=True)
    _report(done, registry)


def _report(done: Update, registry: Registry) -> None:
    labelled = len(done.joined.windows)
    verdict = done.verdict
    if verdict is None:
        echo(f"{done.parent.id} has learned from all {labelled} windows with ground truth")
        return
    echo(f"{labelled} windows have ground truth, {done.learned} of them are new")
    _report_compared("people with ground truth", verdict.new_people)
    _report_compared("people known before", verdict.known_people)
    if verdict.newest is not None:
        _report_compared("newest labels", verdict.newest)
    echo(f"paired test over {verdict.units}: p = {verdict.chance:.4f}")
    for reason in verdict.against:
        echo(f"not promoted: {reason}" if done.added else f"would not be promoted: {reason}")
    if done.promoted and done.added is not None:
        echo(f"{registry.location}: {done.added.id} is current now, in place of {done.parent.id}")
    elif done.added is not None:
        echo(f"{registry.location}: {done.added.id} was added, {done.parent.id} stays current")
    elif not verdict.against:
        echo("it would be promoted; nothing was changed")


def _report_compared(name: str, compared: Compared) -> None:
    echo(
        f"smoothed macro-F1, {name}: {compared.before:.4f} before, {compared.after:.4f} after "
        f"({compared.windows} windows)"
    )
