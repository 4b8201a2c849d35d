"""Kernels are compiled or loaded before the first record."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

from structlog.testing import capture_logs

from streamer import kernel_cache
from streamer.contracts import fast_json
from streamer.features import compiled_features
from streamer.kafka import record_batches
from streamer.labels import smoothing
from streamer.model import boosted_trees, familiarity, linear_logits
from streamer.process.warm_up import warm_up
from streamer.stream import windowing


def test_after_warming_up_every_entry_point_is_compiled() -> None:
    warm_up()
    entries: list[Any] = [
        record_batches.scan,
        fast_json._read_all,
        windowing._land,
        compiled_features._fill_series,
        compiled_features._describe_series,
        compiled_features._describe_spectra,
        smoothing._step,
        familiarity._measure,
        linear_logits._add_products,
        boosted_trees._add_leaves,
    ]
    assert all(entry.signatures for entry in entries)


def test_a_warning_names_the_folders_in_which_kernels_cannot_be_kept() -> None:
    error = PermissionError(30, "Read-only file system", "/opt/kernels")
    with (
        patch.dict(kernel_cache.not_kept, {Path("/opt/kernels"): error}),
        capture_logs() as logs,
    ):
        warm_up()
    (warning,) = (line for line in logs if line["log_level"] == "warning")
    assert "NUMBA_CACHE_DIR" in warning["event"]
    assert warning["folders"] == ["[Errno 30] Read-only file system: '/opt/kernels'"]
