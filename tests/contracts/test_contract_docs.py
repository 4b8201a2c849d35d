"""The examples in docs/contracts.md are run, compiled and decoded as they stand there."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamer.contracts import dead_letters
from streamer.contracts.events import decode_event
from streamer.contracts.ground_truth import decode_label
from streamer.contracts.readings import RejectReason
from streamer.contracts.segments import decode_current, decode_segment
from tests.support.records import F32_TYPE, MSGPACK_TYPE, NOW_MS, SKEW_US, ARecord, decode

DOCS = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text(encoding="utf-8")
SAMPLES = np.array([[0.01, -0.98, 0.12, 0.02, 0.0, -0.01], [0.02, -0.97, 0.11, 0.01, 0.0, -0.02]])


def _examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCS, re.DOTALL | re.MULTILINE)


def _assert_means(sent: ARecord, samples: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    decoded = decode([sent], SKEW_US)
    assert decoded.rejects == []
    assert decoded.device_ids == ["phone-17"]
    assert decoded.time_us.tolist() == [(NOW_MS + 20 * j) * 1000 for j in range(len(samples))]
    np.testing.assert_array_equal(decoded.values, samples)


def test_the_json_examples_are_readings_an_event_segment_current_activity_and_label() -> None:
    one, two, event, segment, current, label = _examples("json")
    _assert_means(ARecord(b"phone-17", one.encode()), SAMPLES[:1])
    _assert_means(ARecord(b"phone-17", two.encode()), SAMPLES)
    assert decode_event(event.encode()).activity == "walking"
    assert decode_segment(segment.encode()).windows == 47
    assert decode_current(current.encode()).activity == "walking"
    assert decode_label(label.encode()).by == "anna"


def test_the_messagepack_example_is_the_first_json_example() -> None:
    (dump,) = _examples("hex")
    headers = (("content-type", MSGPACK_TYPE),)
    _assert_means(ARecord(b"phone-17", bytes.fromhex(dump), headers), SAMPLES[:1])


def test_the_worker_reads_the_records_of_the_python_example() -> None:
    (source,) = _examples("python")
    names: dict[str, Any] = {}
    exec(source, names)
    sent = ARecord(names["key"], names["value"], tuple(names["headers"]))
    _assert_means(sent, SAMPLES.astype(np.float32).astype(np.float64))


def test_the_worker_reads_the_records_of_the_c_example(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler here")
    (source,) = _examples("c")
    (tmp_path / "example.c").write_text(source, encoding="utf-8")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run([compiler, *flags, "-o", "example", "example.c"], cwd=tmp_path, check=True)
    value = subprocess.run([tmp_path / "example"], check=True, stdout=subprocess.PIPE).stdout
    sent = ARecord(b"phone-17", value, (("content-type", F32_TYPE),))
    _assert_means(sent, SAMPLES.astype(np.float32).astype(np.float64))


def test_every_reject_reason_is_explained_in_the_order_they_are_looked_for() -> None:
    reasons = re.findall(r"^\| `([a-z_]+)` \| (?:has|names|is|ends|came) ", DOCS, re.MULTILINE)
    assert reasons == [*RejectReason, "late"]


def test_every_dead_letter_header_is_in_the_docs() -> None:
    headers = [name for name in vars(dead_letters).values() if str(name).startswith("streamer-")]
    assert re.findall(r"^\| `(streamer-[a-z-]+)`", DOCS, re.MULTILINE) == headers


@pytest.mark.parametrize(
    ("title", "example"),
    [("Activity events", 2), ("Activity segments", 3), ("Current activities", 4)],
)
def test_every_field_is_in_the_docs(title: str, example: int) -> None:
    fields = json.loads(_examples("json")[example])
    section = DOCS.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| (?!meaning)", section, re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"[a-z_]+", row)] == list(fields)
