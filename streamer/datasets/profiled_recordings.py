"""Reads recordings of other devices, whose files a profile describes."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from streamer.arrays import Ints, Strings
from streamer.datasets.class_names import activity_of_label
from streamer.datasets.raw_recording import RawRecording, SensorSeries, TimedLabel
from streamer.datasets.regular_grid import LONGEST_GAP_US
from streamer.datasets.sample_times import parse_times, read_clock
from streamer.datasets.text_columns import TextColumns, read_text_columns
from streamer.errors import DataError
from streamer.profiles.layouts import SensorLayout
from streamer.profiles.profile import FileLayout, LabelLayout

Tables = dict[str, TextColumns]
"""The columns of a recording's files, by the name that the profile gives the file."""


def read_profiled_recordings(
    source: Path, layout: FileLayout, report_share: Callable[[float], None] = lambda _: None
) -> Iterator[RawRecording]:
    """Read recordings, one at a time, in the order of their names.

    Args:
        source: a file, or a folder in which files or folders of recordings are searched.
        layout: the section `files` of a profile.
        report_share: called before each file or folder with the share of them that was read.

    Raises:
        DataError: there is no recording, or one is malformed; says which file and line.
    """
    places = list(_find_recordings(source, layout))
    if not places:
        wanted = layout.acc.file or layout.pattern
        raise DataError(f"no recordings in {source}: the profile expects files such as {wanted}")
    names = _name_recordings(places, source)
    for read, (place, name) in enumerate(zip(places, names, strict=True)):
        report_share(read / len(places))
        yield from _read_place(place, name, source, layout)


def _find_recordings(source: Path, layout: FileLayout) -> Iterator[Path]:
    """Yield the file of each recording, or its folder where each sensor has a file."""
    if not layout.acc.file:
        yield from sorted(source.glob(layout.pattern)) if source.is_dir() else [source]
    elif source.is_dir():
        depth = len(Path(layout.acc.file).parts)
        yield from (path.parents[depth - 1] for path in sorted(source.rglob(layout.acc.file)))


def _name_recordings(places: list[Path], source: Path) -> list[str]:
    """Return short names that differ: those of the files, or their paths below the source."""
    stems = [place.stem if place.is_file() else place.name for place in places]
    if len({*stems}) == len(stems):
        return stems
    return ["_".join(place.relative_to(source).with_suffix("").parts) for place in places]


def _read_place(place: Path, name: str, source: Path, layout: FileLayout) -> Iterator[RawRecording]:
    """Read the recordings of one file or folder: one for each subject and device in it."""
    tables = _read_tables(place, layout)
    from_path = _match_name(place, source, layout)
    keys = [column for column in (layout.subject, layout.device) if column]
    parts: dict[tuple[str, ...], Tables] = {(): tables}
    if keys:
        parts = {}
        for file, table in tables.items():
            for key, rows in table.split(keys):
                parts.setdefault(key, {})[file] = rows
    for key, part in parts.items():
        values = dict(zip(keys, key, strict=True))
        if layout.acc.file not in part or not len(part[layout.acc.file].where(layout.acc.where)):
            continue  # a device that has only another sensor
        yield _read_recording(
            part,
            place,
            name="_".join([name, *key]),
            subject=values.get(layout.subject) or from_path.get("subject") or "",
            label=from_path.get("label"),
            layout=layout,
        )


def _read_tables(place: Path, layout: FileLayout) -> Tables:
    if not layout.acc.file:
        return {"": read_text_columns(place, layout)}
    tables = {layout.acc.file: read_text_columns(place / layout.acc.file, layout)}
    for sensor in (layout.gyro, layout.gravity):
        if sensor is not None and (place / sensor.file).exists():
            tables[sensor.file] = read_text_columns(place / sensor.file, layout)
    return tables


def _match_name(place: Path, source: Path, layout: FileLayout) -> dict[str, str]:
    """Return what a recording's path says about it."""
    if not layout.name:
        return {}
    below = place.relative_to(source) if place != source else Path()
    path = (Path(source.resolve().name) / below).as_posix()
    if (found := re.search(layout.name, path)) is None:
        raise DataError(
            f"{place}: its path does not match the profile's `name`, {layout.name!r}; rename it, "
            "or correct the profile"
        )
    return {group: text for group, text in found.groupdict().items() if text}


def _read_recording(
    tables: Tables, place: Path, name: str, subject: str, label: str | None, layout: FileLayout
) -> RawRecording:
    clock = read_clock(place / layout.clock) if layout.clock else None

    def read(sensor: SensorLayout) -> tuple[TextColumns, Ints]:
        rows = tables[sensor.file].where(sensor.where)
        times_us = parse_times(rows, layout.time)
        return rows, times_us if clock is None else clock.to_epoch(times_us)

    rows, acc_times = read(layout.acc)
    acc = layout.acc.convert(rows.numbers(layout.acc.fields))
    has_gravity = layout.acc.gravity != "removed"
    if layout.gravity is not None:
        has_gravity = layout.gravity.file in tables
        if has_gravity:
            gravity_rows, times_us = read(layout.gravity)
            values = layout.gravity.convert(gravity_rows.numbers(layout.gravity.fields))
            gravity = _drop_missing(times_us, values)
            acc += np.stack(
                [np.interp(acc_times, gravity.times_us, axis) for axis in gravity.values.T], axis=1
            )
    gyro = None
    if layout.gyro is not None and layout.gyro.file in tables:
        gyro_rows, times_us = read(layout.gyro)
        if len(gyro_rows):
            values = layout.gyro.convert(gyro_rows.numbers(layout.gyro.fields))
            gyro = _drop_missing(times_us, values)
    acc_series = _drop_missing(acc_times, acc)
    if not len(acc_series):
        raise DataError(f"{place} has no sample with all of {', '.join(layout.acc.fields)}")
    return RawRecording(
        name=name,
        subject=subject,
        acc=acc_series,
        gyro=gyro,
        labels=_read_labels(rows, acc_times, place, label, layout),
        has_gravity=has_gravity,
        from_epoch=clock is not None or (bool(layout.time.field) and layout.time.since != "start"),
    )


def _drop_missing(times_us: Ints, values: np.ndarray) -> SensorSeries:
    """Leave out rows without this sensor: files of several sensors have empty cells."""
    there = ~np.isnan(values).any(axis=1)
    return SensorSeries.of(times_us[there], values[there])


def _read_labels(
    rows: TextColumns, times_us: Ints, place: Path, from_path: str | None, layout: FileLayout
) -> tuple[TimedLabel, ...]:
    label = layout.label
    if label.file:
        path = place.parent if place.is_file() else place
        beside = read_text_columns(
            path / label.file.format(stem=place.stem),
            FileLayout(time=layout.time, acc=layout.acc, gyro=layout.gyro, gravity=layout.gravity),
        )
        time = layout.time
        starts, ends = (
            parse_times(beside, time.model_copy(update={"field": name}))
            for name in (label.start, label.end)
        )
        labels = zip(beside.texts(label.field or "label"), starts, ends, strict=True)
        return tuple(_name_labels(labels, label))
    order = np.argsort(times_us, kind="stable")
    times_us = times_us[order]
    # The last sample lasts as long as the others.
    step_us = int(np.median(np.diff(times_us))) if len(times_us) > 1 else 0
    if label.field:
        texts: Strings = rows.texts(label.field)[order]
        breaks = (texts[1:] != texts[:-1]) | (np.diff(times_us) > LONGEST_GAP_US)
        firsts = np.flatnonzero(np.append(True, breaks))
        starts = times_us[firsts]
        ends = np.append(times_us[firsts[1:] - 1], times_us[-1]) + step_us
        ends[:-1] = np.minimum(ends[:-1], starts[1:])
        return tuple(_name_labels(zip(texts[firsts], starts, ends, strict=True), label))
    if from_path is None:
        return ()
    whole = [(from_path, times_us[0], times_us[-1] + step_us)]
    return tuple(_name_labels(iter(whole), label))


def _name_labels(
    labels: Iterator[tuple[str, int, int]], layout: LabelLayout
) -> Iterator[TimedLabel]:
    for text, start_us, end_us in labels:
        known = text in layout.names if layout.only_named else text not in layout.unlabelled
        if known:
            activity = activity_of_label(layout.names.get(str(text), str(text)))
            yield TimedLabel(activity, int(start_us), int(end_us))
