"""Reads the windows that workers have stored, and joins the files of an hour into one."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np

from streamer.arrays import Floats
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.errors import DataError, MissingObjectError
from streamer.features.feature_set import FeatureSet
from streamer.storage.object_store import ObjectStore
from streamer.storage.open_store import open_store
from streamer.storage.window_files import (
    HOUR_MS,
    StoredWindows,
    decode_windows,
    encode_windows,
    name_folder,
    parse_hour,
    require_parquet,
)

_ATTEMPTS: Final = 5
"""How often the files of an hour are listed again when some of them were joined meanwhile."""


class StoredHour(NamedTuple):
    """The files of one feature set and hour.

    Attributes:
        folder: name of the feature set and hour, such as `uci-har-gravity-1/2026-11-27T16`.
        files: their names.
    """

    folder: str
    files: list[str]


class FeatureStore:
    """The windows in a folder or a bucket. Every method raises StorageError if it cannot be read.

    A window may be in two files: a worker that recovers stores again what was not committed as
    stored. Both have the same content, and readers take one.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def open(cls, location: str) -> "FeatureStore":
        """Open the store in a folder or at `s3://bucket/prefix`.

        Raises:
            InstallationError: pyarrow is not installed.
        """
        require_parquet()
        return cls(open_store(location))

    @property
    def location(self) -> str:
        """The folder, or `s3://bucket/prefix`."""
        return self._store.location

    def list_hours(self) -> list[StoredHour]:
        """Return the hours that have windows, by feature set and time."""
        hours: dict[str, list[str]] = {}
        for name in self._store.list():
            folder, _, file = name.rpartition("/")
            if file.endswith(".parquet") and _is_hour(folder):
                hours.setdefault(folder, []).append(name)
        return [StoredHour(folder, files) for folder, files in sorted(hours.items())]

    def read_hour(self, folder: str) -> StoredWindows | None:
        """Return the windows of an hour, ordered by device and time; None if there are none."""
        for attempt in range(_ATTEMPTS):
            names = [name for name in self._store.list(f"{folder}/") if name.endswith(".parquet")]
            try:
                parts = [self.read_file(name) for name in names]
            except MissingObjectError:
                # The files were joined since they were listed.
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            return StoredWindows.joined(parts).sorted_once() if parts else None
        return None

    def read(
        self,
        feature_set: FeatureSet,
        since_ms: int = 0,
        until_ms: int | None = None,
        device_ids: Collection[str] | None = None,
        report: ReportProgress = ignore_progress,
    ) -> StoredWindows:
        """Return windows ordered by device and time, each once.

        Args:
            feature_set: of the windows.
            since_ms: first time at which a window may start, milliseconds since the epoch.
            until_ms: time before which a window starts; None for no bound.
            device_ids: whose windows; None for all.
            report: is told how many hours were read.
        """
        kind = f"{feature_set.name} {feature_set.version}"
        parts = [_no_windows(len(feature_set.names))]
        hours = self.list_hours()
        for number, (folder, _) in enumerate(hours):
            report("hours of windows", number, len(hours))
            hour = parse_hour(folder)
            if folder != name_folder(kind, hour) or (hour + 1) * HOUR_MS <= since_ms:
                continue
            if until_ms is not None and hour * HOUR_MS >= until_ms:
                continue
            if (found := self.read_hour(folder)) is None:
                continue
            if found.features.shape[1] != len(feature_set.names):
                raise DataError(
                    f"{self.location}/{folder} has {found.features.shape[1]} features in a window, "
                    f"and {kind} has {len(feature_set.names)}"
                )
            rows = found.start_ms >= since_ms
            if until_ms is not None:
                rows &= found.start_ms < until_ms
            if device_ids is not None:
                rows &= np.isin(found.device_ids, list(device_ids))
            parts.append(found.of(rows))
        return StoredWindows.joined(parts).sorted_once()

    def compact(
        self, before_ms: int, names: Sequence[str], report: ReportProgress = ignore_progress
    ) -> int:
        """Join the files of each hour that has ended into one; return how many files are gone.

        The joined file is written before the others are removed, so no reader misses a window. A
        worker may write more files of an hour later; they are joined the next time.

        Args:
            before_ms: only hours that have ended by this time are joined.
            names: of the features, for the metadata.
            report: is told how many hours were looked at.
        """
        gone = 0
        hours = self.list_hours()
        for number, (folder, files) in enumerate(hours):
            report("hours of windows", number, len(hours))
            if len(files) < 2 or (parse_hour(folder) + 1) * HOUR_MS > before_ms:
                continue
            read = [self._read(name) for name in files]
            kind = read[0][0]
            windows = StoredWindows.joined([part for _, part in read]).sorted_once()
            content = encode_windows(windows, kind, names)
            name = f"{folder}/joined-{hashlib.sha256(content).hexdigest()[:16]}.parquet"
            self._store.write(name, content)
            for each in files:
                if each != name:
                    self._store.delete(each)
                    gone += 1
        return gone

    def read_file(self, name: str) -> StoredWindows:
        """Return the windows of a file, by its name in `list_hours`."""
        return self._read(name)[1]

    def _read(self, name: str) -> tuple[str, StoredWindows]:
        return decode_windows(self._store.read(name).content, f"{self.location}/{name}")


def _is_hour(folder: str) -> bool:
    try:
        parse_hour(folder)
    except ValueError:
        return False
    return True


def _no_windows(features: int) -> StoredWindows:
    empty: Floats = np.empty((0, features), np.float32)
    return StoredWindows(
        np.array([], np.str_),
        np.array([], np.int64),
        np.array([], np.float64),
        np.array([], np.bool_),
        empty,
    )
