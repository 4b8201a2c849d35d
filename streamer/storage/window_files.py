"""Files of windows in Parquet: features, and what is known of each window.

| column | type | meaning |
|---|---|---|
| `device_id` | string | whose window it is |
| `window_start` | int64 | nominal start, milliseconds since the epoch |
| `coverage` | float | share of the samples that the device sent |
| `settled` | bool | whether the filters had run long enough |
| `features` | list of float, of fixed size | features; NaN where the device has no such sensor |

The metadata of the schema name the feature set (`feature_set`: name and version) and the features
(`names`, separated by line breaks). pyarrow is imported when a file is written or read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from io import BytesIO
from typing import Any, Final, Self

import numpy as np

from streamer.arrays import Bools, Floats, Ints, Strings
from streamer.errors import DataError, InstallationError

HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class StoredWindows:
    """Windows without their signals.

    Attributes:
        device_ids: (n,), whose windows they are.
        start_ms: (n,), nominal starts, milliseconds since the epoch.
        coverage: (n,), shares of the samples that the devices sent.
        settled: (n,), whether the filters had run long enough.
        features: (n, features), float32.
    """

    device_ids: Strings
    start_ms: Ints
    coverage: Floats
    settled: Bools
    features: Floats

    def __len__(self) -> int:
        return len(self.device_ids)

    def of(self, rows: Ints | Bools) -> "StoredWindows":
        """Return the windows at these rows (indices, or a mask of all rows)."""
        return StoredWindows(
            self.device_ids[rows],
            self.start_ms[rows],
            self.coverage[rows],
            self.settled[rows],
            self.features[rows],
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> "StoredWindows":
        """Concatenate at least one part."""
        return StoredWindows(
            np.concatenate([part.device_ids for part in parts]),
            np.concatenate([part.start_ms for part in parts]),
            np.concatenate([part.coverage for part in parts]),
            np.concatenate([part.settled for part in parts]),
            np.concatenate([part.features for part in parts]),
        )

    def sorted_once(self) -> "StoredWindows":
        """Return the windows ordered by device and time, each one once."""
        order = np.lexsort((self.start_ms, self.device_ids))
        ordered = self.of(order)
        if not len(ordered):
            return ordered
        differs = (ordered.device_ids[1:] != ordered.device_ids[:-1]) | (
            ordered.start_ms[1:] != ordered.start_ms[:-1]
        )
        return ordered.of(np.concatenate([[True], differs]))


def require_parquet() -> None:
    """Make sure that Parquet can be written and read.

    Raises:
        InstallationError: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise InstallationError(
            "storing features needs pyarrow, which is not installed: "
            "pip install 'streamer[parquet]'"
        )


def name_folder(feature_set: str, hour: int) -> str:
    """Return the folder of the windows of an hour, such as `uci-har-1/2026-11-27T16`.

    Args:
        feature_set: name and version of the features.
        hour: in which the windows start, counted from the epoch.
    """
    moment = datetime.fromtimestamp(hour * 3600, UTC)
    return f"{feature_set.replace(' ', '-')}/{moment:%Y-%m-%dT%H}"


def parse_hour(folder: str) -> int:
    """Return the hour, counted from the epoch, of the name of a folder.

    Raises:
        ValueError: the folder is not that of an hour.
    """
    moment = datetime.strptime(folder.rpartition("/")[2], "%Y-%m-%dT%H").replace(tzinfo=UTC)
    return int(moment.timestamp()) // 3600


def encode_windows(windows: StoredWindows, feature_set: str, names: Sequence[str]) -> bytes:
    """Return the content of a file. Equal windows give equal bytes with one version of pyarrow.

    Args:
        windows: at least one.
        feature_set: name and version of the features.
        names: of the features.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    values = pa.array(np.ascontiguousarray(windows.features, np.float32).ravel())
    table = pa.table(
        {
            "device_id": pa.array(windows.device_ids.tolist(), pa.string()),
            "window_start": pa.array(windows.start_ms, pa.int64()),
            "coverage": pa.array(windows.coverage, pa.float32()),
            "settled": pa.array(windows.settled, pa.bool_()),
            "features": pa.FixedSizeListArray.from_arrays(values, windows.features.shape[1]),
        }
    ).replace_schema_metadata({"feature_set": feature_set, "names": "\n".join(names)})
    content = BytesIO()
    # Byte streams: the bytes of floats compress better when those of the same rank are together.
    parquet.write_table(
        table,
        content,
        compression="zstd",
        use_dictionary=["device_id"],
        column_encoding={"features.list.element": "BYTE_STREAM_SPLIT"},
        write_statistics=["device_id", "window_start"],
    )
    return content.getvalue()


def decode_windows(content: bytes, name: str) -> tuple[str, StoredWindows]:
    """Return the feature set (name and version) and the windows of a file.

    Args:
        content: of the file.
        name: of the file, for errors.

    Raises:
        DataError: the content is not such a file, or it is cut off.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    try:
        table: Any = parquet.read_table(BytesIO(content))
        features = table["features"].combine_chunks()
        width = features.type.list_size
        windows = StoredWindows(
            np.array(table["device_id"].to_pylist(), np.str_),
            table["window_start"].to_numpy(),
            table["coverage"].to_numpy().astype(np.float64),
            table["settled"].to_numpy(),
            features.flatten().to_numpy().reshape(-1, width),
        )
        return table.schema.metadata[b"feature_set"].decode(), windows
    except (pa.ArrowException, OSError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{name} is not a file of windows: {error}") from None
