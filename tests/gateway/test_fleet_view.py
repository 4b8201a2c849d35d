"""What the page shows of the devices."""

from typing import Any

import pytest

from streamer.gateway import fleet_view
from streamer.gateway.fleet_view import ACTIVE_MS, HISTORY_MS, EventGlance, FleetView

HOP_MS = 1280


def glance(hop: int, activity: str = "walking", device_id: str = "phone") -> EventGlance:
    """Return the event of a window; windows of 2.56 s begin every 1.28 s."""
    start = hop * HOP_MS
    return EventGlance(device_id, start, start + 2 * HOP_MS, activity, confidence=0.9)


def shown(view: FleetView, now_ms: int, query: str = "", most: int = 10) -> dict[str, Any]:
    return view.summarize(lambda _: True, now_ms, query, most)


def test_touching_windows_of_an_activity_are_one_stretch() -> None:
    """Walking at 0, 1, 2, sitting at 3, walking at 4, then a gap, walking at 8."""
    view = FleetView()
    for hop, activity in [(0, "walking"), (1, "walking"), (2, "walking"), (3, "sitting")]:
        view.see(glance(hop, activity), 0, 0)
    for hop in (4, 8):
        view.see(glance(hop), 0, 0)
    stretches = view.history("phone")
    assert [(each.activity, each.start_ms, each.end_ms) for each in stretches] == [
        ("walking", 0, 4 * HOP_MS),
        ("sitting", 3 * HOP_MS, 5 * HOP_MS),
        ("walking", 4 * HOP_MS, 6 * HOP_MS),
        ("walking", 8 * HOP_MS, 10 * HOP_MS),
    ]
    assert stretches[0].as_json()["confidence"] == 0.9


def test_the_history_is_that_of_an_hour() -> None:
    view = FleetView()
    view.see(glance(0), 0, 0)
    view.see(glance(HISTORY_MS // HOP_MS + 3), 0, 0)
    assert len(view.history("phone")) == 1


def test_silent_devices_are_listed_but_not_counted() -> None:
    view = FleetView()
    view.see(glance(0, "walking", "phone-1"), 0, 0)
    view.see(glance(0, "sitting", "phone-2"), ACTIVE_MS, 0)
    found = shown(view, ACTIVE_MS)
    assert found["activities"] == {"sitting": 1}
    assert [(row["device_id"], row["active"]) for row in found["devices"]] == [
        ("phone-2", True),
        ("phone-1", False),
    ]


def test_devices_are_found_by_a_part_of_their_names() -> None:
    view = FleetView()
    for device_id in ("Phone-1", "phone-12", "watch-1"):
        view.see(glance(0, device_id=device_id), 0, 0)
    found = shown(view, 0, query="PHONE-1", most=1)
    assert found["found"] == 2
    assert len(found["devices"]) == 1
    assert found["active"] == 3


def test_only_allowed_devices_are_shown() -> None:
    view = FleetView()
    for device_id in ("mine", "theirs"):
        view.see(glance(0, device_id=device_id), 0, 0)
    found: dict[str, Any] = view.summarize(lambda device_id: device_id == "mine", 0, "", 10)
    assert found["active"] == 1
    assert [row["device_id"] for row in found["devices"]] == ["mine"]


def test_the_devices_that_were_silent_for_longest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`a` and `b` send, then `a` again: the third device takes the place of `b`."""
    monkeypatch.setattr(fleet_view, "MOST_DEVICES", 2)
    view = FleetView()
    for hop, device_id in enumerate(["a", "b", "a", "c"]):
        view.see(glance(hop, device_id=device_id), 0, 0)
    assert {row["device_id"] for row in shown(view, 0)["devices"]} == {"a", "c"}


def test_the_delay_is_that_from_the_end_of_windows_to_their_events() -> None:
    view = FleetView()
    assert view.delay_ms() is None
    for hop, delay_ms in enumerate([100, 300, 200]):
        view.see(glance(hop), (hop + 2) * HOP_MS + delay_ms, 0)
    assert view.delay_ms() == 200
