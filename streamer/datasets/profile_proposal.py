"""Guesses a profile for a file from its columns."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from streamer.arrays import Floats
from streamer.datasets.raw_recording import SensorSeries
from streamer.datasets.signal_checks import (
    LEAST_GRAVITY,
    MOST_ROTATION,
    guess_acc_unit,
    measure_gravity,
    measure_rotation,
)
from streamer.datasets.text_columns import TextColumns, read_text_columns
from streamer.errors import DataError
from streamer.profiles.layouts import AccLayout, TimeLayout
from streamer.profiles.profile import FileLayout
from streamer.profiles.units import TIME_UNITS

_ANY = FileLayout(time=TimeLayout(rate_hz=50), acc=AccLayout(fields=("x", "y", "z"), unit="g"))
"""A layout that can read any file with a header."""

_RATES_HZ = (5.0, 2000.0)
_EPOCHS_S = (946_684_800.0, 4_102_444_800.0)
"""From 2000 to 2100."""
_FEW = 50
"""A column with no more different texts may be one of labels."""


@dataclass(frozen=True, slots=True)
class Triple:
    """Three columns that look like the axes of one sensor."""

    fields: tuple[str, str, str]
    values: Floats


@dataclass(frozen=True, slots=True)
class Proposal:
    """A profile for a file, and remarks about what could not be guessed."""

    toml: str
    remarks: tuple[str, ...]


def propose_profile(path: Path) -> Proposal:
    """Guess the profile of a CSV file with a header.

    Raises:
        DataError: the file cannot be read, or no three columns look like acceleration.
    """
    table = read_text_columns(path, _ANY)
    numeric = {
        name: values for name in table.names if (values := _read_numbers(table, name)) is not None
    }
    time, rate_hz, remarks = _guess_time(table, numeric)
    triples = list(_find_triples(table.names, numeric))
    seconds = np.arange(len(table)) / rate_hz
    acc, gyro, gravity = _choose_sensors(triples, seconds)
    if acc is None:
        raise DataError(
            f"{path}: no three columns look like acceleration; it has "
            f"{', '.join(map(repr, table.names))}. Write a profile that names them, see "
            "docs/recordings.md"
        )
    lines = ["[files]", "", "[files.time]", *time]
    lines += ["", "[files.acc]", *_describe_acc(acc, gravity, seconds)]
    if gravity is not None:
        unit = guess_acc_unit(_measure(gravity, seconds)) or "g"
        lines += ["", "[files.gravity]", *_describe_fields(gravity), f'unit = "{unit}"']
    if gyro is not None:
        unit = _guess_gyro_unit(gyro, seconds)
        lines += ["", "[files.gyro]", *_describe_fields(gyro), f'unit = "{unit}"']
    else:
        remarks.append("no gyroscope was found")
    if label := _find_label(table, numeric):
        lines += ["", "[files.label]", f"field = {_quote(label)}"]
    else:
        remarks.append(
            "no column of labels was found: add [files.label], or a group `label` to `files.name`"
        )
    remarks.append(
        "add `name` with a group `subject`, or `subject`, if a model is to learn from it; check "
        "`axes`: at rest the axis that points up must measure +1 g"
    )
    return Proposal("\n".join(lines) + "\n", tuple(remarks))


def _read_numbers(table: TextColumns, name: str) -> Floats | None:
    try:
        values = table.numbers([name])[:, 0]
    except DataError:
        return None
    return None if np.isnan(values).all() else values


def _guess_time(
    table: TextColumns, numeric: dict[str, Floats]
) -> tuple[list[str], float, list[str]]:
    """Return the section `files.time`, the rate that it gives, and remarks."""
    candidates = sorted(
        numeric, key=lambda name: not re.search("time|stamp|epoch|date", name, re.IGNORECASE)
    )
    for name in candidates:
        values = numeric[name]
        steps = np.diff(values)
        if np.isnan(values).any() or len(steps) < 1 or (steps < 0).mean() > 0.01:
            continue
        step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
        # A row number rises by one; so do milliseconds at 1,000 Hz, which is rare.
        if not step or (step == 1 and not re.search("time|stamp", name, re.IGNORECASE)):
            continue
        for unit, factor in TIME_UNITS.items():
            rate_hz = 1e6 / (step * factor)
            start_s = float(values[0]) * factor / 1e6
            epoch = _EPOCHS_S[0] <= start_s <= _EPOCHS_S[1]
            if _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1] and (epoch or start_s < 1e6):
                since = "epoch" if epoch else "start"
                section = [f"field = {_quote(name)}", f'unit = "{unit}"', f'since = "{since}"']
                return section, rate_hz, []
    for name in table.names:
        if name not in numeric and re.match(r"\d{4}-\d\d-\d\d", str(table.texts(name)[0])):
            return [f"field = {_quote(name)}", 'unit = "iso8601"'], 50.0, []
    return ["rate_hz = 50"], 50.0, ["no column of times was found: set `rate_hz` to the true rate"]


def _find_triples(names: tuple[str, ...], numeric: dict[str, Floats]) -> Iterator[Triple]:
    """Yield columns whose names differ in x, y and z alone."""
    used: set[str] = set()
    for name in names:
        for position in [m.start() for m in re.finditer("x", name, re.IGNORECASE)]:
            y, z = (name[:position] + axis + name[position + 1 :] for axis in "yz")
            if name[position] == "X":
                y, z = (name[:position] + axis + name[position + 1 :] for axis in "YZ")
            if {name, y, z} <= numeric.keys() and not {name, y, z} & used:
                used |= {name, y, z}
                yield Triple((name, y, z), np.stack([numeric[n] for n in (name, y, z)], axis=1))


def _choose_sensors(
    triples: list[Triple], seconds: Floats
) -> tuple[Triple | None, Triple | None, Triple | None]:
    """Return acceleration, rotation and the separate vector of gravity."""
    named: dict[str, list[Triple]] = {"gyro": [], "gravity": [], "user": [], "acc": [], "": []}
    for triple in triples:
        name = triple.fields[0].lower()
        kind = (
            ""
            if re.search("mag|attitude|orient|quat", name)
            else "gyro"
            if re.search("gyr|rot|omega|angular|rad/s|deg/s|^g[^a-z]?x", name)
            else "gravity"
            if "grav" in name
            else "user"
            if re.search("user|linear", name)
            else "acc"
        )
        named[kind].append(triple)
    gyro = named["gyro"][0] if named["gyro"] else None
    whole = [each for each in named["acc"] if _measure(each, seconds) >= LEAST_GRAVITY]
    if whole:
        return whole[0], gyro, None
    gravity = named["gravity"][0] if named["gravity"] else None
    without = [*named["user"], *named["acc"]]
    return (without[0] if without else None), gyro, gravity if without else None


def _series(triple: Triple, seconds: Floats) -> SensorSeries:
    there = ~np.isnan(triple.values).any(axis=1)
    return SensorSeries((seconds[there] * 1e6).astype(np.int64), triple.values[there])


def _measure(triple: Triple, seconds: Floats) -> float:
    return measure_gravity(_series(triple, seconds))


def _describe_acc(acc: Triple, gravity: Triple | None, seconds: Floats) -> list[str]:
    lines = _describe_fields(acc)
    level = _measure(acc if gravity is None else gravity, seconds)
    unit = guess_acc_unit(level)
    if gravity is not None:
        return [*lines, f'unit = "{unit or "g"}"', 'gravity = "separate"']
    if level < LEAST_GRAVITY:
        return [*lines, 'unit = "m/s2" # cannot be seen without gravity', 'gravity = "removed"']
    if not unit:
        return [*lines, 'unit = "g"', f"scale = {1 / level:.6g} # one g was {level:.6g} counts"]
    return [*lines, f'unit = "{unit}"']


def _guess_gyro_unit(gyro: Triple, seconds: Floats) -> str:
    if re.search("deg|dps|°", gyro.fields[0], re.IGNORECASE):
        return "deg/s"
    return "deg/s" if measure_rotation(_series(gyro, seconds)) > MOST_ROTATION else "rad/s"


def _describe_fields(triple: Triple) -> list[str]:
    return [f"fields = [{', '.join(map(_quote, triple.fields))}]"]


def _find_label(table: TextColumns, numeric: dict[str, Floats]) -> str:
    for name in table.names:
        texts = np.unique(table.texts(name))
        if (
            name not in numeric
            and 1 <= len(texts) <= _FEW
            and not re.search("user|subj|dev|model|id$", name, re.IGNORECASE)
        ):
            return name
    return next((name for name in numeric if re.search("label|activ", name, re.IGNORECASE)), "")


def _quote(text: str) -> str:
    return msgspec.json.encode(text).decode()
