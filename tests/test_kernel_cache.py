"""Compiled kernels are loaded where they are up to date, and only there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streamer.kernel_cache import PACKAGE

MAGNITUDE = """
import numpy as np
from streamer.features import compiled_features
print(compiled_features.compute_series(np.ones((1, 9, 129)))[0, 15, 0])
"""

TWICE = """
import os
from streamer import kernel_cache
from streamer.compiled import compiled

def refuse(path, contents):
    raise PermissionError(13, "Permission denied", str(path.parent))

if "READ_ONLY" in os.environ:
    kernel_cache._write = refuse

@compiled
def twice(x):
    return 2 * x

assert twice(21) == 42
assert twice.signatures
print(len(twice._cache_hits), len(kernel_cache.kept), len(kernel_cache.not_kept))
"""


def run(script: str, folder: Path, packages: Path = PACKAGE.parent) -> str:
    """What a script prints that keeps its kernels in a folder."""
    environment = os.environ | {"PYTHONPATH": str(packages), "NUMBA_CACHE_DIR": str(folder)}
    path = folder.parent / "script.py"
    path.write_text(script)
    finished = subprocess.run(
        [sys.executable, str(path)], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return finished.stdout.strip()


def test_a_function_in_another_module_that_has_changed_is_compiled_again(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "streamer", ignore=shutil.ignore_patterns("__pycache__"))
    kernels = tmp_path / "kernels"
    assert run(MAGNITUDE, kernels, tmp_path) == "1.7320508075688772"
    compiled = set(kernels.iterdir())

    assert run(MAGNITUDE, kernels, tmp_path) == "1.7320508075688772"
    assert set(kernels.iterdir()) == compiled  # they were loaded

    callee = tmp_path / "streamer" / "features" / "columnwise.py"
    stamp = callee.stat().st_mtime_ns
    callee.write_text(callee.read_text().replace("x * x + y * y", "x * x + 2 * y * y"))
    os.utime(callee, ns=(stamp, stamp))
    # Python itself goes by time and length.
    shutil.rmtree(callee.parent / "__pycache__", ignore_errors=True)
    assert run(MAGNITUDE, kernels, tmp_path) == "2.0"


def test_kernels_are_loaded_from_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = tmp_path / "kernels"
    assert run(TWICE, kernels) == "0 1 0"
    monkeypatch.setenv("READ_ONLY", "1")
    assert run(TWICE, kernels) == "1 0 0"


def test_functions_are_compiled_without_a_writable_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("READ_ONLY", "1")
    assert run(TWICE, tmp_path / "kernels") == "0 0 3"


def test_without_numba_the_error_says_which_versions_of_python_have_it(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text("raise ImportError('no build for this Python')")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{PACKAGE.parent}"}
    finished = subprocess.run(
        [sys.executable, "-m", "streamer", "run"],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 1
    assert "no build for this Python" in finished.stderr
    assert "CPython 3.11 to 3.15" in finished.stderr
    assert "Traceback" not in finished.stderr
