"""Sections that profiles of files and of records share: times, and the axes of sensors."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from streamer.arrays import Floats
from streamer.profiles.units import ACC_UNITS, GYRO_UNITS, is_axis, turn_axes


def _check_axis(axis: str) -> str:
    if not is_axis(axis):
        raise ValueError("an axis is x, y or z, with a minus sign where it points the other way")
    return axis


Axis = Annotated[str, AfterValidator(_check_axis)]
Three = tuple[str, str, str]


class ProfilePart(BaseModel):
    """A part of a profile; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeLayout(ProfilePart):
    """Where the time of a sample is."""

    field: str = ""
    """Name of the field or column; empty when samples have no time but a fixed rate."""
    unit: Literal["s", "ms", "us", "ns", "iso8601"] = "ms"
    since: Literal["epoch", "2001", "start"] = "epoch"
    """Whether times count from 1970, from 2001 (Apple's reference date) or from the start of the
    recording."""
    rate_hz: float | None = Field(default=None, gt=0)
    """Sampling rate of samples without times."""

    @model_validator(mode="after")
    def _has_one(self) -> "TimeLayout":
        if bool(self.field) == (self.rate_hz is not None):
            raise ValueError("give either `field`, the field with the times, or `rate_hz`")
        return self


class SensorLayout(ProfilePart):
    """Where the three axes of a sensor are, and what its numbers mean."""

    fields: Three
    """Names of the fields or columns with x, y and z."""
    scale: float = 1.0
    """What one count of a raw sensor is in `unit`."""
    axes: tuple[Axis, Axis, Axis] = ("x", "y", "z")
    """For our x, y and z the axis of the device; a minus sign turns it round."""
    where: dict[str, str] = Field(default_factory=dict)
    """Only readings in which these fields have these values are of this sensor."""
    file: str = ""
    """Name of the file with this sensor, where each sensor has its own file."""

    @model_validator(mode="after")
    def _has_three_axes(self) -> "SensorLayout":
        if len({*self.fields}) < 3:
            raise ValueError(f"{', '.join(self.fields)} are not three different fields")
        if {axis[-1] for axis in self.axes} != {*"xyz"}:
            raise ValueError(f"the axes {', '.join(self.axes)} are not x, y and z, each once")
        return self

    def _convert(self, values: Floats, factor: float) -> Floats:
        return turn_axes(values * (self.scale * factor), self.axes)


class AccLayout(SensorLayout):
    """Where acceleration is."""

    unit: Literal["g", "mg", "m/s2"]
    gravity: Literal["included", "removed", "separate"] = "included"
    """Whether the values include gravity; `separate` adds the vector of the section `gravity`."""

    def convert(self, values: Floats) -> Floats:
        """Return acceleration (n, 3) in g on our axes."""
        return self._convert(values, ACC_UNITS[self.unit])


class GravityLayout(SensorLayout):
    """Where the vector of gravity is that is added to the acceleration."""

    unit: Literal["g", "mg", "m/s2"]

    def convert(self, values: Floats) -> Floats:
        """Return gravity (n, 3) in g on our axes."""
        return self._convert(values, ACC_UNITS[self.unit])


class GyroLayout(SensorLayout):
    """Where rotation is."""

    unit: Literal["rad/s", "deg/s", "mdps"]

    def convert(self, values: Floats) -> Floats:
        """Return rotation (n, 3) in rad/s on our axes."""
        return self._convert(values, GYRO_UNITS[self.unit])
