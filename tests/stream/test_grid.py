"""The identity of windows, which must be the same for ever."""

from hypothesis import given
from hypothesis import strategies as st

from streamer.features.window_shape import WINDOW
from streamer.stream.grid import phase_us


def test_the_phase_of_a_device_is_the_same_in_every_process_and_version() -> None:
    phases = [phase_us(device_id, WINDOW.hop_us) for device_id in ("phone-17", "", "Grüße")]
    assert phases == [951_000, 436_000, 658_000]


@given(st.text())
def test_a_phase_is_whole_milliseconds_of_a_hop(device_id: str) -> None:
    phase = phase_us(device_id, WINDOW.hop_us)
    assert 0 <= phase < WINDOW.hop_us
    assert phase % 1_000 == 0


def test_devices_are_spread_over_the_hop() -> None:
    # 64 places of 20 ms; a place with none or a crowd would close windows in bursts.
    counts = [0] * 64
    for number in range(6_400):
        counts[phase_us(f"phone-{number}", WINDOW.hop_us) // 20_000] += 1
    assert min(counts) > 50
    assert max(counts) < 150
