import io
from itertools import chain

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from streamer.contracts.activities import UNKNOWN
from streamer.contracts.events import (
    ActivityEvent,
    FeatureSetVersion,
    ModelVersion,
    PredictionSource,
    Reason,
    Reliability,
)
from streamer.tools.board import Board
from streamer.tools.watch import line, table
from streamer.tools.worker_status import summarize_unlabelled

WALKING, SITTING = "walking", "sitting"
ACTIVITIES = (WALKING, SITTING, UNKNOWN)
START_MS = 1_763_906_400_000  # 2025-11-23 14:00:00 UTC
HOP_MS = 1280


def event(
    hop: int,
    activity: str = WALKING,
    device_id: str = "phone-17",
    confidence: float | None = 0.98,
) -> ActivityEvent:
    start = START_MS + hop * HOP_MS
    return ActivityEvent(
        window_id=f"{device_id}/{start}",
        device_id=device_id,
        window_start=start,
        window_end=start + 2 * HOP_MS,
        activity=activity,
        reason=None,
        reliability=None,
        confidence=confidence,
        activity_raw=activity,
        label=activity.upper(),
        scores={activity.upper(): 1.0},
        posterior={},
        model=ModelVersion("invented", "1"),
        predictor="local",
        source=PredictionSource.ENDPOINT,
        coverage=1.0,
        feature_set=FeatureSetVersion("uci-har", "1"),
        settled=True,
    )


def unfamiliar(hop: int) -> ActivityEvent:
    return msgspec.structs.replace(
        event(hop, UNKNOWN), reason=Reason.UNFAMILIAR, reliability=Reliability.UNFAMILIAR
    )


def rendered(board: Board, now_s: float = 0, rows: int = 10, trouble: str = "") -> str:
    console = Console(width=120, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(table(board, now_s, rows, trouble))
    return capture.get()


def test_a_device_shows_its_latest_window() -> None:
    board = Board()
    board.add([event(0), event(1, SITTING, confidence=0.5)], now_s=0)

    device = board.devices["phone-17"]
    assert (device.activity, device.confidence, device.windows) == (SITTING, 0.5, 2)


def test_an_unfamiliar_device_is_shown_as_such_and_reported_once() -> None:
    board = Board()
    changes = board.add([event(0, UNKNOWN), unfamiliar(1), unfamiliar(2)], now_s=0)
    assert [each.window_start for each in changes] == [event(0).window_start, event(1).window_start]
    assert "unknown (unfamiliar)" in rendered(board)
    assert line(unfamiliar(1)).endswith("unknown 98% (unfamiliar)")


# hop        0  1  2  3  4
# activity   w  w  s  s  s
def test_a_stretch_lasts_from_the_start_of_its_first_window_to_the_end_of_its_last() -> None:
    board = Board()
    board.add([event(hop, WALKING if hop < 2 else SITTING) for hop in range(5)], now_s=0)

    device = board.devices["phone-17"]
    assert device.since_ms == START_MS + 2 * HOP_MS
    assert device.duration_ms == 4 * HOP_MS


@pytest.mark.parametrize(("next_hop", "goes_on"), [(1, True), (2, True), (3, False), (-5, False)])
def test_a_stretch_survives_one_missing_window_but_no_gap_nor_a_step_back(
    next_hop: int, goes_on: bool
) -> None:
    board = Board()
    board.add([event(0), event(next_hop)], now_s=0)

    first = 0 if goes_on else next_hop
    assert board.devices["phone-17"].since_ms == START_MS + first * HOP_MS


def test_first_events_and_changes_of_a_device_are_returned() -> None:
    board = Board()
    first, again, other = event(0), event(1), event(0, device_id="watch-2")
    change = event(2, SITTING)

    assert board.add([first, again, other, change], now_s=0) == [first, other, change]
    assert board.add([event(3, SITTING)], now_s=1) == []


def test_the_rate_is_of_the_last_five_seconds() -> None:
    board = Board()
    board.add([event(0), event(1)], now_s=100)
    board.add([event(2)], now_s=103)

    assert board.rate(103) == 3 / 5
    assert board.rate(105) == 1 / 5
    assert board.rate(108) == 0


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(ACTIVITIES)), max_size=4)))
def test_the_batches_of_events_do_not_matter(
    batches: list[list[tuple[int, str]]],
) -> None:
    whole, parted = Board(), Board()
    events = [[event(*each) for each in batch] for batch in batches]

    changes = [each for batch in events for each in parted.add(batch, now_s=0)]

    assert whole.add(list(chain.from_iterable(events)), now_s=0) == changes
    assert whole.devices == parted.devices


def test_the_table_shows_every_device_and_the_rate() -> None:
    board = Board()
    board.add([event(hop) for hop in range(60)], now_s=9)
    board.add([event(0, UNKNOWN, device_id="[red]watch", confidence=None)], now_s=9)

    text = rendered(board, now_s=9)

    assert "2 devices, 12.2 events/s" in text
    rows = [line.split("│")[1:-1] for line in text.splitlines() if "│" in line]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["[red]watch", "unknown", "-", "2025-11-23 14:00:00", "0:00:02", "1"],
        ["phone-17", "walking", "98%", "2025-11-23 14:00:00", "0:01:18", "60"],
    ]


def test_a_table_that_does_not_fit_says_how_many_are_hidden() -> None:
    board = Board()
    board.add([event(0, device_id=f"phone-{i}") for i in range(9)], now_s=0)

    text = rendered(board, rows=4)

    assert text.count("phone-") == 4
    assert "and 5 more" in text


@pytest.mark.parametrize("time_ms", [-(10**18), 10**18, 2**63 - 1])
def test_times_that_no_calendar_has_are_shown_as_numbers(time_ms: int) -> None:
    strange = msgspec.structs.replace(event(0), window_start=0, window_end=time_ms)
    board = Board()
    board.add([strange], now_s=0)
    assert str(time_ms) in rendered(board)
    late = msgspec.structs.replace(event(0), window_start=time_ms)
    assert str(time_ms) in line(late)


def test_trouble_is_shown_under_the_table() -> None:
    assert "no broker" in rendered(Board(), trouble="no broker at 127.0.0.1:9")


def test_an_event_is_one_line() -> None:
    assert line(event(0)) == "2025-11-23 14:00:00 phone-17 walking 98%"


def test_devices_without_labels_are_summed_over_the_workers() -> None:
    page = """
# TYPE streamer_unlabelled_devices gauge
streamer_unlabelled_devices{reason="gap",worker="0"} 1
streamer_unlabelled_devices{reason="implausible",worker="0"} 2
streamer_unlabelled_devices{reason="implausible",worker="1"} 1
streamer_unlabelled_devices{reason="coverage",worker="1"} 0
"""
    assert summarize_unlabelled(page) == "devices without labels: 4 (implausible 3, gap 1)"
    assert summarize_unlabelled("") == ""
