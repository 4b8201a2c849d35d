"""Why there is no event of a window: found from the trace of the window through the log."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streamer.features.window_shape import WINDOW
from streamer.flow.window_trace import WindowTrace
from streamer.printable import utc_moment
from streamer.settings import Settings
from streamer.stream.accounting import Skip
from streamer.stream.grid import phase_us


class Absence(StrEnum):
    """Why there is no event of a window."""

    NOT_ON_GRID = "not_on_grid"
    """No window of the device starts then."""
    UNKNOWN_DEVICE = "unknown_device"
    """There are no readings of the device."""
    BEFORE_RETENTION = "before_retention"
    """The readings of this time have been deleted."""
    BEFORE_DEVICE = "before_device"
    """The device began to send later."""
    STILL_OPEN = "still_open"
    """Samples that close the window have not come yet."""
    NO_READINGS = "no_readings"
    """The device has sent none in the time of the window."""
    REJECTED = "rejected"
    """The readings were rejected."""
    LATE = "late"
    """The readings came behind the watermark."""
    SKIPPED = "skipped"
    """The window was skipped; the words name the reason."""
    REFUSED = "refused"
    """The endpoint has refused the window."""
    NOT_PROCESSED = "not_processed"
    """The workers have not come to it yet."""
    NOT_PUBLISHED = "not_published"
    """The readings give an event, and the topic does not have it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why there is no event of a window.

    Attributes:
        absence: the reason.
        words: what that means, and what to do.
    """

    absence: Absence
    words: str


_SKIPS: Final = {
    Skip.GAP: "the device paused for longer than max_gap_ms inside it: look at its connection",
    Skip.IDLE: "the device was silent for idle_timeout_s inside it",
    Skip.CROWDED: "the partition has more devices than max_devices, so the device was forgotten",
    Skip.CLOCK: "the clock of the device went back inside it: set the clock of the device",
    Skip.COVERAGE: "fewer of its samples than min_coverage were there",
    Skip.SAMPLING_RATE: "its samples are too few or too uneven: docs/devices.md has the rates",
    Skip.IMPLAUSIBLE: "its readings cannot be in g with gravity and rad/s: correct the publisher, "
    "or name a profile with the units",
    Skip.NO_GYROSCOPE: "the device sent no rotation, and the model cannot do without",
}


def check_grid(device_id: str, start_ms: int) -> Verdict | None:
    """Return why no window of the device can start at a time; None if one can."""
    off_us = (1000 * start_ms - phase_us(device_id, WINDOW.hop_us)) % WINDOW.hop_us
    if not off_us:
        return None
    before = start_ms - off_us // 1000
    return Verdict(
        Absence.NOT_ON_GRID,
        f"no window of {device_id} starts at {start_ms}; the nearest ones are "
        f"{device_id}/{before} and {device_id}/{before + WINDOW.hop_us // 1000}",
    )


def explain_absence(trace: WindowTrace, *, log_is_cut: bool) -> Verdict | None:
    """Return why the readings give no window; None if they give one.

    Args:
        trace: of the window, up to the end of the log.
        log_is_cut: whether records before the first one of the trace have been deleted.
    """
    if trace.found is not None:
        return None
    seen, settings = trace.range, trace.settings
    if seen.first_us is None or seen.newest_us is None:
        if trace.rejected:
            return _rejected(trace)
        return Verdict(Absence.UNKNOWN_DEVICE, f"there are no readings of {trace.device_id}")
    if seen.before_us is None and seen.first_us > trace.start_us:
        first = f"the oldest reading of {trace.device_id} is of {_moment(seen.first_us)}"
        if log_is_cut:
            words = "older records have been deleted: a longer retention keeps them"
            return Verdict(Absence.BEFORE_RETENTION, f"{first}; {words}")
        return Verdict(Absence.BEFORE_DEVICE, f"{first}; the device began to send after the start")
    needed_us = _closing_us(trace.end_us, settings)
    if seen.newest_us < needed_us and not trace.skipped:
        return Verdict(
            Absence.STILL_OPEN,
            f"the newest reading of {trace.device_id} is of {_moment(seen.newest_us)}; the "
            f"window closes with a reading of {_moment(needed_us)} or later",
        )
    if not len(trace.times_us):
        return _rejected(trace) if trace.rejected else _nothing_sent(trace)
    late = [record for record in trace.records if record.late]
    if 2 * sum(record.samples for record in late) > len(trace.times_us):
        return Verdict(
            Absence.LATE,
            f"{len(late)} of {len(trace.records)} records with its samples came behind the "
            f"watermark (first at the offset {late[0].offset}): something reorders the readings; "
            "a larger allowed_lateness_ms waits for them",
        )
    if trace.skipped:
        # Most reasons are found when a window closes; a pause or a new life ends it before.
        closing = [each for newest_us, each in trace.skipped if newest_us >= needed_us]
        reason = Skip(closing[0] if closing else trace.skipped[-1][1])
        return Verdict(Absence.SKIPPED, f"{reason}: {_SKIPS[reason]}")
    return Verdict(
        Absence.NO_READINGS,
        f"{len(trace.times_us)} samples are in its time, too few to begin a window: the device "
        "started anew inside it",
    )


def _moment(time_us: int) -> str:
    return utc_moment(time_us / 1000)


def _closing_us(end_us: int, settings: Settings) -> int:
    """Return the earliest time of a sample that closes a window with this nominal end."""
    return end_us + (WINDOW.lookahead - 1) * WINDOW.step_us + settings.rules.watermark_lag_us


def _rejected(trace: WindowTrace) -> Verdict:
    reasons = ", ".join(sorted(set(trace.rejected)))
    return Verdict(
        Absence.REJECTED,
        f"{len(trace.rejected)} records of {trace.device_id} were rejected ({reasons}): "
        f"`streamer dlq show --reason {trace.rejected[0]}` shows them",
    )


def _nothing_sent(trace: WindowTrace) -> Verdict:
    seen = trace.range
    before = "none" if seen.before_us is None else _moment(seen.before_us)
    after = "none" if seen.after_us is None else _moment(seen.after_us)
    return Verdict(
        Absence.NO_READINGS,
        f"gap: the device sent nothing in its time; the reading before is of {before}, the one "
        f"after of {after}",
    )
