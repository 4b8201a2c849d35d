"""Events reach those who follow them, each once and in order, and memory has bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.gateway import event_hub
from streamer.gateway.event_hub import (
    EventHub,
    LiveEvent,
    Subscription,
    read_positions,
    write_positions,
)

SOON_S = 0.001


def event(offset: int, device_id: str = "phone", partition: int = 0) -> LiveEvent:
    return LiveEvent(partition, offset, device_id, b"{}")


def hub_at(*starts: int) -> EventHub:
    hub = EventHub()
    hub.start_at(dict(enumerate(starts)))
    return hub


async def taken(subscription: Subscription) -> list[int]:
    return [each.offset for each in await subscription.take(10_000, SOON_S)]


async def test_a_subscriber_gets_the_events_of_its_device_that_come_after_it() -> None:
    hub = hub_at(0)
    hub.publish(event(0))
    with hub.subscribe("phone") as subscription:
        hub.publish(event(1))
        hub.publish(event(2, "watch"))
        hub.publish(event(3))
        assert await taken(subscription) == [1, 3]
        assert subscription.has_all


async def test_a_subscriber_of_many_devices_gets_those_that_it_wants() -> None:
    hub = hub_at(0)
    with hub.subscribe(lambda device_id: device_id.startswith("p")) as subscription:
        hub.publish(event(0))
        hub.publish(event(1, "watch"))
        assert await taken(subscription) == [0]


@given(
    seen=st.lists(st.sampled_from(["phone", "watch"]), max_size=20),
    later=st.lists(st.sampled_from(["phone", "watch"]), max_size=20),
    stop=st.integers(0, 20),
)
async def test_a_subscriber_that_comes_back_gets_each_event_once(
    seen: list[str], later: list[str], stop: int
) -> None:
    """Seen up to ``stop``, away for the rest of ``seen``, back for ``later``."""
    hub = hub_at(0)
    for offset, device_id in enumerate(seen):
        hub.publish(event(offset, device_id))
    with hub.subscribe("phone", {0: stop}) as subscription:
        for offset, device_id in enumerate(later, len(seen)):
            hub.publish(event(offset, device_id))
        everything = list(enumerate([*seen, *later]))
        since = min(stop, len(seen))
        expected = [offset for offset, device in everything[since:] if device == "phone"]
        assert await taken(subscription) == expected
        assert subscription.missed == []


async def test_a_subscriber_that_reconnects_too_late_gets_a_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of events 0 to 9 the hub keeps 7, 8 and 9: who has stopped before 7 has missed some."""
    monkeypatch.setattr(event_hub, "KEPT_EVENTS", 3)
    hub = hub_at(0)
    for offset in range(10):
        hub.publish(event(offset))
    with hub.subscribe("phone", {0: 6}) as late, hub.subscribe("phone", {0: 7}) as in_time:
        assert late.missed == [0]
        assert await taken(late) == [7, 8, 9]
        assert in_time.missed == []
        assert await taken(in_time) == [7, 8, 9]


async def test_a_subscriber_that_does_not_take_its_events_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_hub, "WAITING_EVENTS", 3)
    hub = hub_at(0)
    with hub.subscribe("phone") as slow, hub.subscribe("phone") as quick:
        for offset in range(4):
            hub.publish(event(offset))
            assert await taken(quick) == [offset]
        assert slow.end is not None
        assert "read faster" in slow.end
        assert await taken(slow) == []
        assert quick.end is None


async def test_a_replay_of_any_length_is_not_the_fault_of_the_subscriber(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_hub, "WAITING_EVENTS", 3)
    hub = hub_at(0)
    for offset in range(50):
        hub.publish(event(offset))
    with hub.subscribe("phone", {0: 0}) as subscription:
        hub.publish(event(50))
        assert subscription.end is None
        assert await taken(subscription) == list(range(51))


async def test_the_end_of_the_gateway_ends_all_subscriptions() -> None:
    hub = hub_at(0)
    with hub.subscribe("phone") as one, hub.subscribe(lambda _: True) as many:
        hub.close()
        assert one.end == many.end == event_hub.GATEWAY_ENDS


@given(st.dictionaries(st.integers(0, 10_000), st.integers(0, 2**63), max_size=20))
def test_positions_are_read_as_they_are_written(positions: dict[int, int]) -> None:
    assert read_positions(write_positions(positions)) == positions


@pytest.mark.parametrize("text", ["x", "1", "1:", "1:2:3", "1:2;3:4"])
def test_an_id_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid literal|unpack"):
        read_positions(text)
