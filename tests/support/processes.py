"""Running our command line, and seeing what it leaves behind."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

CLI = [sys.executable, "-c", "from streamer.cli import main; main()"]
PATIENCE_S = 180.0


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([*CLI, *arguments], stdout=subprocess.PIPE, text=True)


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*CLI, *arguments], capture_output=True, text=True, check=False)


def working_for(folder: Path) -> "list[psutil.Process]":
    """Guards and Java machines that have this folder in their command line."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "kafka.Kafka" in command and any(str(folder) in argument for argument in command):
            found.append(process)
    return found


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s"
        time.sleep(0.05)
