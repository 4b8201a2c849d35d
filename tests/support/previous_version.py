"""The package of the previous version, which an upgrade starts from.

It is the last tag, or the last commit of version 0.1.0, from the history of git.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import streamer

HERE: Final = Path(streamer.__file__).parents[1]
BEFORE_0_2_0: Final = "87a08f880fcb3936c8d0aa124e15a07f7d763b18"


def unpack_previous(folder: Path) -> Path:
    """Write the package of the previous version into a folder, with compiled kernels.

    It skips the test if the history of git does not have that version.
    """
    tag = _git("describe", "--tags", "--abbrev=0", "HEAD^").stdout.decode().strip()
    archive = _git("archive", tag or BEFORE_0_2_0, "streamer")
    if archive.returncode:
        pytest.skip("the previous version is not in the history of git here")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    # Kernels whose sources are the same need not be compiled again.
    kernels = Path("streamer", "__pycache__", "kernels")
    if (HERE / kernels).is_dir():
        shutil.copytree(HERE / kernels, folder / kernels)
    subprocess.run(
        [sys.executable, "-m", "streamer.process.warm_up"],
        check=True,
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
    )
    return folder


def _git(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    command = ["git", "-C", str(HERE), *arguments]
    return subprocess.run(command, capture_output=True, check=False)
