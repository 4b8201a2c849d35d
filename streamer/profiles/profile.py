"""What a profile says, checked, and where it is loaded from.

A profile is a TOML file. `[records]` describes the records of a topic, `[files]` recordings in
files: where the sensors, the times, the labels and the people are. See `docs/devices.md` for the
former, `docs/recordings.md` for the latter.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from streamer.errors import SettingsError
from streamer.profiles.layouts import AccLayout, GravityLayout, GyroLayout, ProfilePart, TimeLayout
from streamer.profiles.record_layout import NEED_REGISTRY, RecordLayout

SHIPPED_PROFILES = Path(__file__).with_name("shipped")
"""The profiles of the package, one TOML file each."""

CONTRACT = "streamer"
"""Name of the format of docs/contracts.md. Its records need no profile."""


def _check_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_check_pattern)]


class LabelLayout(ProfilePart):
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
    names: dict[str, str] = Field(default_factory=dict)
    """Labels that are to be called otherwise, such as `wlk = "WALKING"`."""
    only_named: bool = False
    """Whether samples with a label that is not in `names` count as unlabelled."""
    unlabelled: tuple[str, ...] = ("", "null")
    """Labels that mean that nothing is known."""


class FileLayout(ProfilePart):
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


class Profile(ProfilePart):
    """How readings of other devices are read."""

    description: str = ""
    records: RecordLayout | None = None
    files: FileLayout | None = None


def load_profile(name: str) -> Profile:
    """Load a profile by its name in the package, or from a TOML file.

    Args:
        name: such as ``phyphox``, or a path that ends in ``.toml``.

    Raises:
        SettingsError: there is no such profile, or it is malformed; says where and what.
    """
    shipped = {path.stem: path for path in sorted(SHIPPED_PROFILES.glob("*.toml"))}
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


def load_record_layout(name: str) -> RecordLayout:
    """Load the section `[records]` of a profile.

    Raises:
        SettingsError: there is no such profile, or it does not describe records.
    """
    records = load_profile(name).records
    if records is None:
        raise SettingsError(
            f"the profile {name!r} has no section [records]: it describes files, not records"
        )
    return records


def check_format(name: str, registry: str | None) -> str | None:
    """Return why records in a format cannot be read; None if they can.

    Args:
        name: `CONTRACT`, the name of a profile in the package, or the path of one.
        registry: URL of the schema registry.
    """
    if name == CONTRACT:
        return None
    try:
        encoding = load_record_layout(name).encoding
    except SettingsError as error:
        return str(error)
    if encoding in NEED_REGISTRY and registry is None:
        return f"a profile of {encoding} needs schema_registry"
    return None
