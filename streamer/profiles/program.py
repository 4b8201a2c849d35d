"""A profile's section `[records]` as what readers work from: slots, and how they are converted."""

from dataclasses import dataclass

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.profiles.paths import EACH, Kind, Slot, parse_path
from streamer.profiles.record_layout import RecordAcc, RecordGravity, RecordGyro, RecordLayout
from streamer.profiles.units import ACC_UNITS, EPOCHS_US, GYRO_UNITS, TIME_UNITS

NO_SLOT = -1


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """Where the samples of a sensor are among the cells."""

    fields: Ints
    """(3,) Slot for each of our axes."""
    signs: Floats
    """(3,) Sign of each of our axes."""
    factor: float
    """From the device's unit to ours."""
    time: int
    """Slot of its times, `NO_SLOT` without."""
    where: Ints
    """(n, 2) Slots and the choice that each must have."""


class Program:
    """The slots of a layout, and the sensors made of them."""

    def __init__(self, layout: RecordLayout) -> None:
        self.layout = layout
        self.slots: list[Slot] = []
        texts = Kind.TIME if layout.time.unit == "iso8601" else Kind.NUMBER
        self._time_kind = texts
        self.device = self._add(layout.device_field, Kind.DEVICE)
        self.time = self._add(layout.time.field, texts)
        self.interval = self._add(layout.interval, Kind.NUMBER)
        self._choices = _choices(layout)
        acc, gyro, gravity = layout.acc, layout.gyro, layout.gravity
        self.acc = self._sensor(acc, ACC_UNITS[acc.unit]) if acc else None
        self.gyro = self._sensor(gyro, GYRO_UNITS[gyro.unit]) if gyro else None
        self.gravity = self._sensor(gravity, ACC_UNITS[gravity.unit]) if gravity else None
        unit = layout.time.unit
        self.us = 1.0 if unit == "iso8601" else TIME_UNITS[unit]
        """Microseconds in the unit of time."""
        self.epoch_us = 0 if unit == "iso8601" else EPOCHS_US[layout.time.since]

    @property
    def sensors(self) -> list[Sensor]:
        """Those that the profile names."""
        return [each for each in (self.acc, self.gyro, self.gravity) if each is not None]

    @property
    def times_are_shared(self) -> bool:
        """Whether a row has one time for all of its sensors."""
        return len({each.time for each in self.sensors}) == 1

    @property
    def is_selective(self) -> bool:
        """Whether a record may be without any sample: sensors are found by names in it."""
        return any(len(each.where) for each in self.sensors)

    def _sensor(self, layout: RecordAcc | RecordGyro | RecordGravity, factor: float) -> Sensor:
        fields = [self._add(path, Kind.NUMBER) for path in layout.fields]
        where = [
            (self._add(path, Kind.CHOICE, self._choices[path]), self._choices[path].index(text))
            for path, text in layout.where.items()
        ]
        return Sensor(
            fields=np.array([fields["xyz".index(axis[-1])] for axis in layout.axes], np.int64),
            signs=np.array([-1.0 if axis.startswith("-") else 1.0 for axis in layout.axes]),
            factor=layout.scale * factor,
            time=self._add(layout.time, self._time_kind) if layout.time else self.time,
            where=np.array(where, np.int64).reshape(-1, 2),
        )

    def _add(self, path: str, kind: Kind, choices: tuple[str, ...] = ()) -> int:
        if not path:
            return NO_SLOT
        steps = (EACH, path) if self.layout.encoding == "csv" else parse_path(path)
        slot = Slot(path, steps, kind, choices)
        if slot not in self.slots:
            self.slots.append(slot)
        return self.slots.index(slot)


def _choices(layout: RecordLayout) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for sensor in (layout.acc, layout.gyro, layout.gravity):
        if sensor is not None:
            for path, text in sensor.where.items():
                found.setdefault(path, set()).add(text)
    return {path: tuple(sorted(texts)) for path, texts in found.items()}
