"""How the label of a window came about, on the terminal and as JSON."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec import UNSET, to_builtins
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamer.arrays import Floats
from streamer.contracts.events import ActivityEvent
from streamer.printable import printable, utc_moment
from streamer.reports.explanation import (
    Explanation,
    measure_magnitude,
    measure_spectrum,
)

MOST_FEATURES: Final = 10
"""Features that the tables show; JSON has all of them."""

_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def explanation_as_json(found: Explanation) -> dict[str, Any]:
    """Return an explanation as plain data. Times are milliseconds since the epoch."""
    window, published, effects = found.window, found.published, found.effects
    return {
        "window_id": found.window_id,
        "device_id": found.device_id,
        "start": found.start_ms,
        "partition": found.partition,
        "absence": found.absence,
        "words": found.words,
        "identical": found.identical,
        "event": None if published is None else to_builtins(published.event),
        "event_offset": None if published is None else published.offset,
        "recomputed": None if found.recomputed is None else to_builtins(found.recomputed),
        "read_from_offset": found.read_from,
        "records": [
            {
                "offset": record.offset,
                "kafka_time": record.stamped_ms,
                "first_sample": record.first_us / 1000,
                "last_sample": record.last_us / 1000,
                "samples": record.samples,
                "late": record.late,
            }
            for record in found.records
        ],
        "rejected": list(found.rejected),
        "sampling_rate_hz": found.sampling_rate_hz,
        "samples": [
            {"time": time_us / 1000, "values": [None if np.isnan(v) else v for v in values]}
            for time_us, values in zip(found.times_us.tolist(), found.values.tolist(), strict=True)
        ],
        "closed_by_offset": None if window is None else window.closed_by,
        "coverage": None if window is None else window.window.coverage,
        "signals": None if window is None else window.signals.tolist(),
        "spectrum": None if window is None else _spectrum_as_json(window.signals),
        "follows": None if window is None else window.window.follows,
        "before": None if found.before is None else to_builtins(found.before),
        "effects": None if effects is None else to_builtins(effects),
        "policy": to_builtins(found.policy),
        "stages": [to_builtins(stage) for stage in found.stages],
    }


def explanation_as_tables(found: Explanation) -> RenderableType:
    """Return an explanation as headings, pictures of characters and tables."""
    parts: list[RenderableType] = [
        Text(printable(found.window_id), style="bold"),
        Text(printable(summarize(found))),
    ]
    if found.words:
        parts.append(Text(printable(found.words), style="yellow"))
    if found.records or found.window is not None:
        parts += ["", _describe_samples(found)]
    if found.event is not None and found.event.scores:
        parts += ["", _tabulate_scores(found, found.event)]
    if found.effects is not None:
        parts += ["", *_tabulate_effects(found)]
    if found.stages:
        parts += ["", _tabulate_stages(found)]
    return Group(*parts)


def summarize(found: Explanation) -> str:
    """Say in a sentence or two what the window is, and whether the log gives the same."""
    event = found.event
    if found.published is None:
        there = f"There is no event of this window ({found.absence})."
        return there if event is None else f"{there} The readings give: {_describe(event)}."
    assert event is not None
    again = {
        True: "Recomputed from the readings: the same bytes.",
        False: "Recomputed from the readings: another event.",
        None: "It could not be recomputed.",
    }
    return f"{_describe(event)}. {again[found.identical]}"


def describe_policy(found: Explanation) -> str:
    """Say how doubtful windows are labelled."""
    policy = found.policy
    smoothing = "smoothed with the windows before" if policy.smoothing else "each window by itself"
    unsure = "the windows before decide" if policy.context else "unknown"
    unfamiliar = "labelled" if policy.label_unfamiliar else "unknown"
    return (
        f"{smoothing}; below a confidence of {policy.min_confidence:g}: {unsure}; "
        f"unfamiliar devices: {unfamiliar}"
    )


def describe_before(found: Explanation) -> str:
    """Say from which belief the window continues."""
    if found.before is not None:
        before = found.before
        return f"continues from {before.window_id} ({before.activity})"
    if found.window is not None and found.window.window.follows:
        return "the event of the window before is gone, and with it the belief"
    return "the device starts anew with this window, without a belief"


def describe_familiarity(found: Explanation) -> str:
    """Say how familiar the movement of the device is to the model; empty if it cannot tell."""
    event, before = found.event, found.before
    if event is None or event.familiarity is UNSET:
        return ""
    was = "" if before is None or before.familiarity is UNSET else f"{before.familiarity:.3f} -> "
    return f"{was}{event.familiarity:.3f}"


def _describe(event: ActivityEvent) -> str:
    share = "" if event.confidence is None else f", confidence {event.confidence:.3f}"
    because = next((f", {each}" for each in (event.reason, event.reliability) if each), "")
    return (
        f"{event.activity}{share}{because}, from {utc_moment(event.window_start)} to "
        f"{utc_moment(event.window_end)}"
    )


def _describe_samples(found: Explanation) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    rate = found.sampling_rate_hz
    late = sum(record.late for record in found.records)
    table.add_row(
        "samples",
        f"{len(found.times_us)} in {len(found.records)} records"
        + (f", {rate:.1f} Hz" if rate else "")
        + (f", {late} records late" if late else ""),
    )
    offsets = [record.offset for record in found.records]
    if (window := found.window) is not None:
        own = window.window
        settled = "" if own.settled else ", filters not settled"
        table.add_row("coverage", f"{own.coverage:.3f} of the slots{settled}")
        magnitude = measure_magnitude(window.signals)
        table.add_row("signal", f"{draw(magnitude, 64)}  {magnitude.min():.2f} to "
                      f"{magnitude.max():.2f} g")  # fmt: skip
        hertz, amplitudes = measure_spectrum(window.signals)
        peak = int(np.argmax(amplitudes))
        table.add_row(
            "spectrum",
            f"{draw(amplitudes[1:], 64)}  0.4 to 25 Hz, peak {amplitudes[peak]:.3f} g at "
            f"{hertz[peak]:.1f} Hz",
        )
    if found.rejected:
        table.add_row("rejected", f"{len(found.rejected)} records of the device")
    table.add_row("before", describe_before(found))
    if words := describe_familiarity(found):
        table.add_row("familiarity", words)
    table.add_row("policy", describe_policy(found))
    if (event := found.event) is not None and event.model is not None:
        table.add_row(
            "model", f"{event.model.id} {event.model.version} ({event.predictor}), features "
            f"{event.feature_set.name} {event.feature_set.version}"
        )  # fmt: skip
    table.add_row("offsets", _describe_offsets(found, offsets))
    return table


def _describe_offsets(found: Explanation, offsets: Sequence[int]) -> str:
    parts = [f"partition {found.partition}"]
    if offsets:
        parts.append(f"samples in records {min(offsets)} to {max(offsets)}")
    if found.window is not None:
        parts.append(f"closed by {found.window.closed_by}")
    if found.published is not None:
        parts.append(f"event {found.published.offset}")
    return ", ".join([*parts, f"read again from {found.read_from}"])


def _tabulate_scores(found: Explanation, event: ActivityEvent) -> Table:
    table = Table(title="Scores", title_justify="left", title_style="bold")
    table.add_column("class")
    for heading in ("belief before", "score of this window", "belief after"):
        table.add_column(heading, justify="right")
    before = {} if found.before is None else found.before.posterior
    for label, score in event.scores.items():
        shares = (before.get(label), score, event.posterior.get(label))
        table.add_row(label, *("-" if each is None else f"{each:.6f}" for each in shares))
    return table


def _tabulate_effects(found: Explanation) -> list[RenderableType]:
    effects = found.effects
    assert effects is not None
    groups = Table(
        title=f"What speaks for {printable(effects.chosen)} and against "
        f"{printable(effects.rival)} (log-odds {effects.log_odds:.2f}), by signal",
        title_justify="left",
        title_style="bold",
    )
    groups.add_column("signal")
    groups.add_column("effect", justify="right")
    for each in effects.signals[:MOST_FEATURES]:
        groups.add_row(each.name, f"{each.effect:+.3f}")
    table = Table(title="By feature", title_justify="left", title_style="bold")
    table.add_column("feature")
    for heading in ("effect", "value", "median in training"):
        table.add_column(heading, justify="right")
    for each in effects.features[:MOST_FEATURES]:
        table.add_row(
            each.name, f"{each.effect:+.3f}", f"{each.value or 0:.3f}", f"{each.usual or 0:.3f}"
        )
    table.caption = EFFECT
    return [groups, table]


EFFECT: Final = (
    "Effect: by how much the log-odds fall when the feature, or all features of the signal, have "
    "their median in the training data instead. Effects do not add up."
)


def _tabulate_stages(found: Explanation) -> Table:
    table = Table(title="Timing", title_justify="left", title_style="bold")
    table.add_column("moment")
    table.add_column("time")
    table.add_column("after", justify="right")
    table.add_column("clock of")
    for stage in found.stages:
        waited = "" if stage.waited_ms is None else f"{stage.waited_ms:+.0f} ms"
        table.add_row(stage.name, utc_moment(stage.time_ms), waited, stage.clock)
    return table


def draw(values: Floats, width: int) -> str:
    """Draw values (n,) as a line of blocks, the largest of each part; n is at least the width."""
    parts = np.array([part.max() for part in np.array_split(values, width)])
    low, high = float(parts.min()), float(parts.max())
    steps = (parts - low) / ((high - low) or 1) * (len(_BLOCKS) - 1)
    return "".join(_BLOCKS[step] for step in np.round(steps).astype(int).tolist())


def _spectrum_as_json(signals: Floats) -> dict[str, list[float]]:
    hertz, amplitudes = measure_spectrum(signals)
    return {"hertz": hertz.tolist(), "g": amplitudes.tolist()}
