"""Whatever comes from records is shown as text, wherever it is shown."""

import datetime as dt
import io
import json
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from zoneinfo import ZoneInfo

import click
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from streamer.cli import main
from streamer.contracts.events import ActivityEvent, ModelVersion
from streamer.contracts.segments import ActivitySegment
from streamer.errors import DataError
from streamer.flow.window_trace import DeviceRange, TracedRecord
from streamer.labels.label_policy import LabelPolicy
from streamer.metrics import Metrics
from streamer.model.versions import History, Promotion, Version
from streamer.predict.feature_effects import FeatureEffect, FeatureEffects
from streamer.printable import printable, utc_time
from streamer.reports import html_page
from streamer.reports.alignment_tables import alignment_as_tables
from streamer.reports.day import Day, make_report
from streamer.reports.day_tables import day_as_tables
from streamer.reports.explanation import Explanation, PublishedRecord, Stage
from streamer.reports.explanation_tables import explanation_as_tables
from streamer.reports.version_tables import history_as_tables
from streamer.terminal import echo, terminal
from streamer.tools.board import Board
from streamer.tools.dead_letters import Letter, LetterId
from streamer.tools.letter_formats import letter_text, survey_table
from streamer.tools.letter_survey import Survey
from streamer.tools.watch import line, table
from streamer.training.event_alignment import Alignment
from tests.support.events import WALK

HOSTILE = [
    "gym[/]band",
    "lab[red]7",
    "[link=https://example.org]phone[/link]",
    ":smile:",
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31mred",
    "phone\r\nERROR forged line",
    "\u202egpj.phone",
    "\u2066a\u2069\u200b\ufeff",
    "line\u2028separator",
    "nul\x00",
]
DANGEROUS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def is_safe(text: str) -> bool:
    """Whether a terminal shows this text and does nothing else."""
    return all(unicodedata.category(each) not in DANGEROUS for each in text.replace("\n", ""))


def event(text: str) -> ActivityEvent:
    model = ModelVersion(text, text)
    return msgspec.structs.replace(WALK, device_id=text, activity=text, predictor=text, model=model)


def letter(text: str) -> Letter:
    raw = text.encode()
    headers = [(text, raw), ("content-type", None)]
    return Letter(LetterId(0, 7), 0, raw, raw, headers, text, LetterId(0, 1), text, text)


def render(shown: RenderableType, console: Console) -> str:
    with console.capture() as capture:
        console.print(shown)
    return capture.get()


def plain_console() -> Console:
    return Console(width=300, file=io.StringIO(), color_system=None)


def wide_terminal() -> Console:
    wide = terminal()
    wide.width = 300
    return wide


def watch_table(text: str) -> str:
    board = Board()
    board.add([event(text)], now_s=0)
    return render(table(board, 0, 10, ""), plain_console())


def watch_trouble(text: str) -> str:
    return render(table(Board(), 0, 10, text), plain_console())


def watch_note(text: str) -> str:
    return render(table(Board(), 0, 10, "", [text]), plain_console())


def dead_letter_table(text: str) -> str:
    survey = Survey()
    survey.add(letter(text))
    return render(survey_table(survey), plain_console())


def error_line(text: str) -> str:
    return failure(DataError(text))


def traceback_of_a_bug(text: str) -> str:
    return failure(ValueError(text))


def failure(error: Exception) -> str:
    @click.command()
    def fail() -> None:
        raise error

    original = type(main).get_command
    type(main).get_command = lambda *_: fail  # type: ignore[method-assign]
    try:
        return CliRunner().invoke(main, ["dlq"]).output
    finally:
        type(main).get_command = original  # type: ignore[method-assign]


def echoed(text: str) -> str:
    @click.command()
    def say() -> None:
        echo(text)

    return CliRunner().invoke(say).output


def printed(text: str) -> str:
    return render(text, terminal())


def exposition(text: str) -> str:
    metrics = Metrics()
    metrics.count_events([event(text)])
    return generate_latest(metrics.registry).decode()


def evaluation(text: str) -> str:
    alignment = Alignment(pairs=[(text, text)], movements=Counter({text: 1}))
    return render(alignment_as_tables(alignment), terminal())


def model_history(text: str) -> str:
    version = Version(
        id=text, model=text, created_ms=0, parent=text, files={}, figures={text: 1}, note=text
    )
    promotion = Promotion(version=text, at_ms=0, reason=text)
    wide = wide_terminal()
    tables = history_as_tables(History([version], [promotion]))
    return "\n".join(render(each, wide) for each in tables)


def day_report(text: str) -> str:
    day = Day.of(dt.date(2026, 11, 26), ZoneInfo("UTC"))
    not_ended = ActivitySegment(
        segment_id=text,
        device_id=text,
        segment_start=day.start_ms,
        segment_end=day.start_ms + 60_000,
        activity=text,
        reason=None,
        confidence=0.9,
        windows=1,
    )
    return render(day_as_tables(make_report(text, day, [], not_ended)), wide_terminal())


def explanation(text: str) -> str:
    said = msgspec.structs.replace(
        event(text), window_id=text, scores={text: 1.0}, posterior={text: 1.0}
    )
    found = Explanation(
        window_id=text,
        device_id=text,
        start_ms=0,
        partition=0,
        published=PublishedRecord(said, 0, 0),
        recomputed=None,
        identical=None,
        absence=None,
        words=text,
        window=None,
        records=[TracedRecord(0, 0, 0, 0, 1, late=False)],
        times_us=np.arange(2),
        values=np.zeros((2, 6)),
        range=DeviceRange(),
        read_from=0,
        before=said,
        effects=FeatureEffects(text, text, 1.0, [], [FeatureEffect(text, 1.0)]),
        policy=LabelPolicy(),
        stages=[Stage(text, 0, text, None)],
        rejected=[text],
    )
    return render(explanation_as_tables(found), wide_terminal())


def html(text: str) -> str:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    return html_page.render(text, [html_page.Section(text, [html_page.Text(text)])], text)


PRINTERS: list[Callable[[str], str]] = [
    lambda text: line(event(text)),
    watch_table,
    watch_trouble,
    watch_note,
    dead_letter_table,
    lambda text: letter_text(letter(text)),
    error_line,
    traceback_of_a_bug,
    echoed,
    printed,
    exposition,
    evaluation,
    model_history,
    day_report,
    explanation,
    html,
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("show", PRINTERS)
def test_printed_text_cannot_control_the_terminal(show: Callable[[str], str], text: str) -> None:
    shown = show(text)
    assert is_safe(shown), ascii(shown)
    if "\n" not in text:
        assert printable(text) in shown.replace("\\\\", "\\")


@pytest.mark.parametrize("text", HOSTILE)
def test_styled_text_that_was_not_made_printable_is_safe_too(text: str) -> None:
    cells = Table("device")
    cells.add_row(Text(text, style="bold"))
    for shown in (Text(text), cells):
        assert is_safe(render(shown, terminal()))


LOGGING = """
import sys
import logging
import structlog
from streamer.process import log
from streamer.settings import Settings

log.configure(Settings.load({"log_format": sys.argv[1]}))
for text in sys.argv[2:]:
    text = text.encode().decode("unicode_escape")
    for each in (structlog.get_logger("streamer.test"), logging.getLogger("aiokafka.test")):
        try:
            raise ValueError(text)
        except ValueError:
            each.exception("failed with " + text)
    structlog.get_logger("streamer.test").info("seen", device=text, several=[text])
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_log_line_cannot_control_the_terminal(form: str) -> None:
    texts = [text.encode("unicode_escape").decode() for text in HOSTILE]
    done = subprocess.run(
        [sys.executable, "-c", LOGGING, form, *texts], capture_output=True, text=True, check=True
    )
    assert is_safe(done.stderr)
    forged = [each for each in done.stderr.splitlines() if each.startswith("ERROR forged")]
    assert forged == []


@given(st.text())
def test_printable_text_is_safe_unambiguous_in_json_and_done_once(text: str) -> None:
    shown = printable(text)
    assert is_safe(shown)
    assert printable(shown) == shown
    as_json = json.dumps(text, ensure_ascii=False)
    assert json.loads(printable(as_json)) == text


@pytest.mark.parametrize("time_ms", [-(10**18), -1, 0, 10**18, 2**63 - 1])
def test_any_time_can_be_shown(time_ms: int) -> None:
    assert utc_time(time_ms)
