"""Kernels are there before the first record, and without a place to keep them too."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamer.compiled import IS_COMPILED
from streamer.contracts import fast_json
from streamer.features import kernels
from streamer.kafka import record_batches
from streamer.labels import smoothing
from streamer.process.warm_up import warm_up
from streamer.stream import landing_compiled

pytestmark = pytest.mark.skipif(not IS_COMPILED, reason="numba is not installed")


def test_after_warming_up_every_entry_point_is_compiled() -> None:
    warm_up()
    entries: list[Any] = [
        record_batches.scan,
        fast_json._read_all,
        landing_compiled._land,
        kernels._series_of,
        kernels._in_time,
        kernels._in_frequency,
        smoothing._compiled_step,
    ]
    assert all(entry.signatures for entry in entries)


def test_where_no_file_may_be_written_functions_are_compiled_all_the_same(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import numba.core.caching as caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "from streamer.compiled import compiled\n"
        "@compiled\n"
        "def twice(x):\n"
        "    return 2 * x\n"
        "assert twice(21) == 42\n"
        "assert twice.signatures\n"
    )
    subprocess.run([sys.executable, str(script)], check=True)
