"""The section `[records]` of a profile: how the readings in Kafka's records are written."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from streamer.profiles.layouts import AccLayout, GravityLayout, GyroLayout, ProfilePart, TimeLayout
from streamer.profiles.paths import EACH, parse_path

NEED_REGISTRY = ("avro", "protobuf")
"""Encodings that cannot be read without the schemas of a registry."""

FRAME = 5
"""Bytes that a registry's serializers write before the data: a zero and the schema's id."""


def _check_path(path: str) -> str:
    parse_path(path)
    return path


Path = Annotated[str, AfterValidator(_check_path)]


class _OwnTime(ProfilePart):
    time: str = ""
    """Path of the sensor's own times, if its times are not those of the section `time`."""


class RecordAcc(AccLayout, _OwnTime):
    """Where a record has acceleration."""


class RecordGyro(GyroLayout, _OwnTime):
    """Where a record has rotation."""


class RecordGravity(GravityLayout, _OwnTime):
    """Where a record has the vector of gravity."""


class RecordLayout(ProfilePart):
    """How a record is written, and where in it the device id, the times and the sensors are."""

    encoding: Literal["json", "msgpack", "csv", "avro", "protobuf", "json-schema"] = "json"
    """`avro`, `protobuf` and `json-schema` have a schema registry's framing of five bytes."""
    separator: str = Field(default=",", min_length=1, max_length=1)
    """Between the columns of CSV; a tab is `\\t`."""
    columns: tuple[str, ...] = ()
    """Names of the columns of CSV; a record holds one line or several, without a header."""
    device_field: str = ""
    """Path of the device id in the value. Without it and `device_header`, the key is the id."""
    device_header: str = ""
    """Name of the record header that holds the device id."""
    time: TimeLayout
    interval: str = ""
    """Path of the time between two samples, in the unit of `time`, if a record has one time."""
    interval_ms: float | None = Field(default=None, gt=0, le=60_000)
    """The same, if it is fixed."""
    acc: RecordAcc | None = None
    gyro: RecordGyro | None = None
    gravity: RecordGravity | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "RecordLayout":
        if self.acc is None and self.gyro is None:
            raise ValueError("there is neither a section `acc` nor a section `gyro`")
        if (self.acc is not None and self.acc.gravity == "separate") != (self.gravity is not None):
            raise ValueError('acc.gravity = "separate" and the section `gravity` belong together')
        if self.device_field and self.device_header:
            raise ValueError("give `device_field` or `device_header`, not both")
        if (self.encoding == "csv") != bool(self.columns):
            raise ValueError("`columns` belong to the encoding csv, which needs them")
        if self.time.since == "start":
            raise ValueError("times in records must count from a date, not from the start")
        self._check_paths()
        return self

    def _check_paths(self) -> None:
        paths = [self.time.field, self.device_field, self.interval]
        for sensor in (self.acc, self.gyro, self.gravity):
            if sensor is not None:
                paths += [*sensor.fields, *sensor.where, sensor.time]
                if len({_list_of(path) for path in sensor.fields}) > 1 and not all(
                    EACH in path for path in sensor.fields
                ):
                    raise ValueError(f"{', '.join(sensor.fields)} are not all of one list")
        if self.encoding == "csv":
            unknown = {path for path in paths if path} - set(self.columns)
            if unknown:
                raise ValueError(f"there is no column {', '.join(sorted(unknown))} in `columns`")
            return
        for path in filter(None, paths):
            parse_path(path)
        if EACH in self.device_field + self.interval:
            raise ValueError("`device_field` and `interval` are one for a record, without []")
        samples = any(EACH in path for path in (*self._fields("acc"), *self._fields("gyro")))
        once = (self.time.rate_hz, self.interval, self.interval_ms)
        has_times = EACH in self.time.field or any(once)
        if samples and not has_times and not all(self._own_times()):
            raise ValueError(
                "a record with several samples needs a time for each of them, `interval` or "
                "`interval_ms`"
            )

    def _fields(self, sensor: str) -> tuple[str, ...]:
        layout = getattr(self, sensor)
        return layout.fields if layout else ()

    def _own_times(self) -> list[str]:
        return [each.time for each in (self.acc, self.gyro) if each is not None]


def _list_of(path: str) -> str:
    return path.partition(EACH)[0] if EACH in path else ""
