"""Limits of a device and of a token."""

from dataclasses import dataclass

import pytest

from streamer.gateway.device_rates import BURST_S, REMEMBERED_S, DeviceRates, TooMany


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_device_may_send_a_minute_at_once_and_then_its_rate() -> None:
    # samples  0      6000 at 100 a second: all of them at once, the next ones after 1 s each 100
    clock = Clock()
    rates = DeviceRates(100, 10, clock)
    most = 10_000  # the largest record, here more than a minute's samples
    rates.admit("t", [("a", most)])
    with pytest.raises(TooMany, match="'a' sends more than 100 samples a second") as caught:
        rates.admit("t", [("a", 100)])
    assert caught.value.retry_after_s == 2
    rates.admit("t", [("b", most)])
    clock.now_s += 1
    rates.admit("t", [("a", 100)])
    with pytest.raises(TooMany):
        rates.admit("t", [("a", 1)])


def test_a_request_that_is_refused_costs_none_of_its_devices_anything() -> None:
    rates = DeviceRates(1000, 10, Clock())
    most = round(1000 * BURST_S)
    for _ in range(3):
        with pytest.raises(TooMany):
            rates.admit("t", [("a", most), ("b", most), ("b", 1)])
    rates.admit("t", [("a", most), ("b", most)])


def test_a_token_has_a_limited_number_of_devices_and_others_are_not_affected() -> None:
    clock = Clock()
    rates = DeviceRates(1000, 3, clock)
    rates.admit("t", [("a", 1), ("b", 1)])
    with pytest.raises(TooMany, match="more than 3 devices"):
        rates.admit("t", [("c", 1), ("d", 1)])
    rates.admit("t", [("c", 1)])
    with pytest.raises(TooMany):
        rates.admit("t", [("d", 1)])
    rates.admit("t", [("a", 1)])
    rates.admit("other", [("d", 1)])
    clock.now_s += REMEMBERED_S
    rates.admit("t", [("a", 1)])
    clock.now_s += 1  # b and c are forgotten, a is not
    rates.admit("t", [("d", 1), ("e", 1)])
    with pytest.raises(TooMany):
        rates.admit("t", [("f", 1)])


def test_a_million_made_up_devices_of_a_token_take_little_memory() -> None:
    rates = DeviceRates(1000, 1000, Clock())
    refused = 0
    for number in range(100_000):
        try:
            rates.admit("t", [(f"made-up-{number}", 1)])
        except TooMany:
            refused += 1
    assert refused == 99_000
    assert len(rates._tokens["t"]) == 1000
