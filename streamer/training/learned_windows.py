"""The windows that a version of a model has learned from, as a file of its registry."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np

from streamer.datasets.ground_truth import Joined
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows
from streamer.errors import DataError
from streamer.features.feature_set import FeatureSet
from streamer.features.window_shape import WINDOW
from streamer.storage.window_files import StoredWindows

FILE = "windows.parquet"
"""Name of the file among the data of a version."""
AS_WORN = "as worn"
"""The place of the devices of stored windows: nobody has said more."""

_HOP_MS = WINDOW.hop_us // 1000
_TEXTS = ("truths", "subjects", "recordings", "places")


def label_stored_windows(
    windows: StoredWindows, joined: Joined, feature_set: FeatureSet
) -> LabelledWindows:
    """Return the windows of all devices that have ground truth, with their activity or none.

    A recording is a run of windows that follow each other on the grid of a device. The device
    stands for its person.

    Args:
        windows: ordered by device and time.
        joined: those of them that have ground truth.
        feature_set: of the windows.
    """
    labelled = set(joined.windows.device_ids.tolist())
    windows = windows.of(np.array([each in labelled for each in windows.device_ids], bool))
    labelled_pairs = _pair(joined.windows)
    said = dict(zip(labelled_pairs, joined.activities.tolist(), strict=True))
    pairs = _pair(windows)
    begins = [
        i == 0 or (pairs[i - 1][0], pairs[i - 1][1] + _HOP_MS) != pair
        for i, pair in enumerate(pairs)
    ]
    runs = np.cumsum(begins) - 1
    firsts = [f"{pair[0]}@{pair[1]}" for pair, begin in zip(pairs, begins, strict=True) if begin]
    return LabelledWindows(
        features=windows.features.astype(np.float64),
        truths=np.array([said.get(pair, UNLABELLED) for pair in pairs], np.str_),
        subjects=windows.device_ids,
        recordings=np.array([firsts[run] for run in runs], np.str_),
        starts=windows.start_ms,
        copies=np.zeros(len(pairs), np.int64),
        places=np.full(len(pairs), AS_WORN),
        feature_set=feature_set,
    )


def _pair(windows: StoredWindows) -> list[tuple[str, int]]:
    return list(zip(windows.device_ids.tolist(), windows.start_ms.tolist(), strict=True))


def encode_learned(windows: LabelledWindows) -> bytes:
    """Return windows as a Parquet file."""
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    features = pa.array(windows.features.astype(np.float32).ravel())
    columns: dict[str, Any] = {
        name: pa.array(getattr(windows, name).tolist(), pa.string()) for name in _TEXTS
    }
    columns["starts"] = pa.array(windows.starts, pa.int64())
    columns["features"] = pa.FixedSizeListArray.from_arrays(features, windows.features.shape[1])
    content = BytesIO()
    parquet.write_table(pa.table(columns), content, compression="zstd", use_dictionary=[*_TEXTS])
    return content.getvalue()


def decode_learned(content: bytes, feature_set: FeatureSet) -> LabelledWindows:
    """Return the windows in such a file.

    Raises:
        DataError: the content is not such a file, or has other features.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    try:
        table: Any = parquet.read_table(BytesIO(content))
        features = table["features"].combine_chunks().flatten().to_numpy()
        texts = {name: np.array(table[name].to_pylist(), np.str_) for name in _TEXTS}
        return LabelledWindows(
            features=features.reshape(len(table), len(feature_set.names)).astype(np.float64),
            starts=table["starts"].to_numpy(),
            copies=np.zeros(len(table), np.int64),
            feature_set=feature_set,
            **texts,
        )
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"it is not a file of learned windows: {error}") from None


def find_unlearned(new: LabelledWindows, old: LabelledWindows) -> LabelledWindows:
    """Return the windows `new`, without the truth of those that `old` has with the same truth."""
    keys = zip(old.subjects.tolist(), old.starts.tolist(), old.truths.tolist(), strict=True)
    known = {key for key, place in zip(keys, old.places.tolist(), strict=True) if place == AS_WORN}
    pairs = zip(new.subjects.tolist(), new.starts.tolist(), new.truths.tolist(), strict=True)
    is_known = np.array([key in known for key in pairs], bool)
    return replace(new, truths=np.where(is_known, UNLABELLED, new.truths))


def add_windows(old: LabelledWindows, new: LabelledWindows) -> LabelledWindows:
    """Return all windows: `new` replaces those of the same device and time."""
    added = set(zip(new.subjects.tolist(), new.starts.tolist(), strict=True))
    pairs = zip(old.subjects.tolist(), old.starts.tolist(), old.places.tolist(), strict=True)
    stays = np.array([place != AS_WORN or (s, t) not in added for s, t, place in pairs], bool)
    return LabelledWindows.joined([old.of(stays), new])
