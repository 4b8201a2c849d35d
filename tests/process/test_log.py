import json
import subprocess
import sys
from functools import cache

import pytest

SCRIPT = """
import logging
import structlog
from streamer.process import log
from streamer.settings import Settings

log.configure(Settings.load({"log_format": FORMAT, "log_level": LEVEL}))
ours, theirs = structlog.get_logger("streamer.test"), logging.getLogger("aiokafka.test")
ours.debug("ours, debug")
ours.info("ours, info", partition=3)
ours.error("ours, error")
theirs.info("theirs, %s", "info")
theirs.warning("theirs, %s", "warning")
theirs.error("theirs, %s", "error")
theirs.warning("Heartbeat failed for group %s because it is rebalancing", "mine")

def log_in():
    password = "hush"
    raise OSError("refused")

for logger in (ours, theirs):
    try:
        log_in()
    except OSError:
        logger.exception("failed")
"""

MANY_CAUSES = """
def fail(causes):
    try:
        if causes:
            fail(causes - 1)
    except Exception as error:
        raise ValueError("x" * 100_000) from error
    raise OSError("the first cause")

try:
    fail(200)
except ValueError:
    ours.exception("many causes")
"""


@cache
def logged(form: str, level: str, more: str = "") -> str:
    """What a program that logs the lines above leaves on standard error."""
    script = (SCRIPT + more).replace("FORMAT", repr(form)).replace("LEVEL", repr(level))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_is_logged_without_the_values_of_local_variables(form: str) -> None:
    output = logged(form, "info")
    assert output.count("Traceback (most recent call last)") == 2
    assert output.count("OSError: refused") == 2
    assert "hush" not in output


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_long_traceback_is_logged_with_its_beginning_and_its_end(form: str) -> None:
    output = logged(form, "info", MANY_CAUSES).replace("\\n", "\n")
    found = output[output.index("many causes") :].splitlines()
    assert len(found) < 70
    assert max(map(len, found)) < 1000
    assert any("OSError: the first cause" in line for line in found)
    assert any("lines are left out" in line for line in found)
    assert any(line.lstrip().startswith("ValueError: xxx") for line in found[-5:])


def test_json_is_one_object_a_line_with_time_level_and_values() -> None:
    lines = [json.loads(line) for line in logged("json", "info").splitlines()]
    [info] = [line for line in lines if line["event"] == "ours, info"]
    assert info.pop("timestamp").endswith("Z")
    assert info == {"event": "ours, info", "level": "info", "partition": 3}


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("debug", ["ours, debug", "ours, info", "ours, error", "theirs, warning", "theirs, error"]),
        ("info", ["ours, info", "ours, error", "theirs, warning", "theirs, error"]),
        ("error", ["ours, error", "theirs, error"]),
    ],
)
def test_libraries_log_warnings_and_nothing_is_logged_below_the_level(
    level: str, events: list[str]
) -> None:
    lines = [json.loads(line) for line in logged("json", level).splitlines()]
    assert [line["event"] for line in lines] == [*events, "failed", "failed"]


def test_what_a_library_warns_of_in_every_rebalance_is_not_logged() -> None:
    assert "theirs, warning" in logged("json", "info")
    assert "rebalancing" not in logged("json", "info")


def test_log_lines_of_a_library_name_it() -> None:
    lines = [json.loads(line) for line in logged("json", "error").splitlines()]
    assert [line.get("logger") for line in lines if line["event"] == "theirs, error"] == [
        "aiokafka.test"
    ]


def test_lines_that_repeat_are_dropped_and_the_next_one_says_how_many() -> None:
    script = """
import logging
import structlog
from streamer.process import log
from streamer.settings import Settings

log.configure(Settings.load({"log_format": "json"}))
ours, theirs = structlog.get_logger("streamer.test"), logging.getLogger("aiokafka.test")

def repeat(times):
    for attempt in range(times):
        theirs.error("attempt %s failed", attempt)
        ours.warning("a device is silent", partition="readings[0]", device=attempt)

repeat(1000)
ours.warning("a device is silent", partition="readings[1]")
log.REPEAT_S = 0.0
repeat(1)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines if line.get("logger") == "aiokafka.test"] == [
        "attempt 0 failed",
        "attempt 0 failed (999 lines like this were dropped before)",
    ]
    ours = [line for line in lines if "partition" in line]
    assert [line["device"] for line in ours[:20]] == list(range(20))
    # Another partition is another matter.
    assert [line["partition"] for line in ours[20:]] == ["readings[1]", "readings[0]"]
    assert [line.get("dropped_before") for line in ours[20:]] == [None, 980]
