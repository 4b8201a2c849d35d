"""What a profile says, checked, and where it is loaded from.

A profile is a TOML file. `[files]` describes recordings in files: where the sensors, the times, the
labels and the people are. See `docs/devices.md`.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from streamer.arrays import Floats
from streamer.errors import SettingsError
from streamer.profiles.units import ACC_UNITS, GYRO_UNITS, is_axis, turn_axes

SHIPPED = Path(__file__).with_name("shipped")
"""The profiles of the package, one TOML file each."""


def _check_axis(axis: str) -> str:
    if not is_axis(axis):
        raise ValueError("an axis is x, y or z, with a minus sign where it points the other way")
    return axis


def _check_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Axis = Annotated[str, AfterValidator(_check_axis)]
Pattern = Annotated[str, AfterValidator(_check_pattern)]
Three = tuple[str, str, str]


class Section(BaseModel):
    """A part of a profile; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeLayout(Section):
    """Where the time of a sample is."""

    field: str = ""
    """Name of the field or column; empty when samples have no time but a fixed rate."""
    unit: Literal["s", "ms", "us", "ns", "iso8601"] = "ms"
    since: Literal["epoch", "start"] = "epoch"
    """Whether times count from 1970 or from the start of the recording."""
    rate_hz: float | None = Field(default=None, gt=0)
    """Sampling rate of samples without times."""

    @model_validator(mode="after")
    def _has_one(self) -> "TimeLayout":
        if bool(self.field) == (self.rate_hz is not None):
            raise ValueError("give either `field`, the field with the times, or `rate_hz`")
        return self


class SensorLayout(Section):
    """Where the three axes of a sensor are, and what its numbers mean."""

    fields: Three
    """Names of the fields or columns with x, y and z."""
    scale: float = 1.0
    """What one count of a raw sensor is in `unit`."""
    axes: tuple[Axis, Axis, Axis] = ("x", "y", "z")
    """For our x, y and z the axis of the device; a minus sign turns it round."""
    where: dict[str, str] = {}
    """Only readings in which these fields have these values are of this sensor."""
    file: str = ""
    """Name of the file with this sensor, where each sensor has its own file."""

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


class LabelLayout(Section):
    """Where the labels of a recording are: in a column, in a file beside it, or in its name."""

    field: str = ""
    """Name of the column with the label of each sample, or of each row of `file`."""
    file: str = ""
    """Name of a CSV file beside the recording with a row for each labelled part; `{stem}` stands
    for the name of the recording's file."""
    start: str = "start"
    """Column of `file` with the time at which a part starts, as the samples count it."""
    end: str = "end"
    """Column of `file` with the time at which a part ends."""
    names: dict[str, str] = {}
    """Labels that are to be called otherwise, such as `wlk = "WALKING"`."""
    only_named: bool = False
    """Whether samples with a label that is not in `names` count as unlabelled."""
    unlabelled: tuple[str, ...] = ("", "null")
    """Labels that mean that nothing is known."""


class FileLayout(Section):
    """How recordings lie in files."""

    pattern: str = "**/*.csv"
    """Glob pattern of the files, relative to the folder; unused when each sensor has a file."""
    name: Pattern = ""
    """Regular expression that is searched in the path of a recording, which begins with the name
    of the folder that is read. Its named groups `subject` and `label` say whose recording it is
    and what was done."""
    separator: Literal["", ",", ";", "tab", "space"] = ""
    """Separator of columns; found from the first lines when left out."""
    comment: str = ""
    """Lines that begin with this text are skipped."""
    columns: tuple[str, ...] = ()
    """Names of the columns of files without a header."""
    subject: str = ""
    """Column that says whose samples these are."""
    device: str = ""
    """Column that says which device measured."""
    time: TimeLayout
    acc: AccLayout
    gyro: GyroLayout | None = None
    gravity: GravityLayout | None = None
    label: LabelLayout = LabelLayout()
    clock: str = ""
    """Name of a phyphox file of starts and pauses, such as `meta/time.csv`."""

    @model_validator(mode="after")
    def _fits_together(self) -> "FileLayout":
        if (self.acc.gravity == "separate") != (self.gravity is not None):
            raise ValueError('acc.gravity = "separate" and the section `gravity` belong together')
        sensors = [each for each in (self.acc, self.gyro, self.gravity) if each is not None]
        if len({bool(each.file) for each in sensors}) > 1:
            raise ValueError("either every sensor has a `file`, or none has")
        return self


class Profile(Section):
    """How readings of other devices are read."""

    description: str = ""
    files: FileLayout | None = None


def load_profile(name: str) -> Profile:
    """Load a profile by its name in the package, or from a TOML file.

    Args:
        name: such as ``phyphox``, or a path that ends in ``.toml``.

    Raises:
        SettingsError: there is no such profile, or it is malformed; says where and what.
    """
    shipped = {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}
    path = Path(name) if name.endswith(".toml") else shipped.get(name)
    if path is None:
        raise SettingsError(
            f"there is no profile {name!r}; there are {', '.join(shipped)}, or give the path of a "
            ".toml file of your own"
        )
    try:
        with path.open("rb") as file:
            return Profile.model_validate(tomllib.load(file))
    except OSError as error:
        raise SettingsError(f"profile {path} cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"profile {path} is not TOML: {error}") from None
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'profile'}: "
            + each["msg"].removeprefix("Value error, ")
            for each in error.errors()
        )
        raise SettingsError(f"profile {path}: {faults}") from None
