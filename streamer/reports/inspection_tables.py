"""The output of `streamer devices inspect`."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from streamer.datasets.inspection import RecordingReport, SensorReport


def inspection_as_tables(reports: Sequence[RecordingReport]) -> RenderableType:
    """Lay out a row for each sensor of each recording, then labels and faults."""
    table = Table("recording", "person", "sensor", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("seconds", "Hz", "jitter", "gaps", "longest", "level"):
        table.add_column(heading, justify="right", no_wrap=True)
    for report in reports:
        table.add_row(report.name, report.subject or "?", "acc", *_describe(report.acc, "g"))
        if report.gyro is None:
            table.add_row("", "", "no gyroscope")
        else:
            table.add_row("", "", "gyro", *_describe(report.gyro, "rad/s"))
    labels = [
        f"{report.name}: " + ", ".join(f"{name} {s:.1f} s" for name, s in report.activities.items())
        for report in reports
        if report.activities
    ]
    faults = [fault for report in reports for fault in report.faults]
    lines: list[RenderableType] = [table]
    if labels:
        lines += ["", "Labels:", *labels]
    lines += ["", *(faults or ["Rates and units are as they should be."])]
    return Group(*lines)


def _describe(sensor: SensorReport, unit: str) -> tuple[str, ...]:
    return (
        f"{sensor.seconds:.1f}",
        f"{sensor.rate_hz:.1f}",
        f"{sensor.jitter_ms:.1f} ms",
        str(sensor.gaps),
        f"{sensor.longest_gap_s:.1f} s",
        f"{sensor.level:.2f} {unit}",
    )
