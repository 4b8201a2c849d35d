from pathlib import Path

import numpy as np
import pytest

from streamer.errors import SettingsError
from streamer.profiles.layouts import AccLayout, GyroLayout
from streamer.profiles.profile import SHIPPED_PROFILES, load_profile
from streamer.profiles.units import STANDARD_GRAVITY, turn_axes

MINIMAL = """
[files.time]
rate_hz = 50
[files.acc]
fields = ["x", "y", "z"]
unit = "g"
"""


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "path", sorted(SHIPPED_PROFILES.glob("*.toml")), ids=lambda path: path.stem
)
def test_every_shipped_profile_loads_and_has_a_description(path: Path) -> None:
    assert load_profile(path.stem).description


def test_a_profile_of_ones_own_is_loaded_from_its_path(tmp_path: Path) -> None:
    files = load_profile(write(tmp_path, MINIMAL)).files
    assert files is not None
    assert files.acc.fields == ("x", "y", "z")
    assert files.gyro is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[files", "is not TOML"),
        (
            MINIMAL.replace('"g"', '"feet"'),
            r"files\.acc\.unit: Input should be 'g', 'mg' or 'm/s2'",
        ),
        (MINIMAL + 'colour = "red"\n', r"files\.acc\.colour: Extra inputs are not permitted"),
        (MINIMAL + 'axes = ["x", "y", "up"]\n', r"files\.acc\.axes\.2: an axis is x, y or z"),
        (
            MINIMAL + 'axes = ["x", "-x", "z"]\n',
            r"files\.acc: the axes x, -x, z are not x, y and z",
        ),
        (MINIMAL.replace('"y"', '"x"'), r"files\.acc: x, x, z are not three different fields"),
        (MINIMAL.replace("rate_hz = 50", ""), r"files\.time: give either `field`"),
        (MINIMAL.replace("= 50", '= 50\nfield = "t"'), r"files\.time: give either `field`"),
        (MINIMAL + 'gravity = "separate"\n', r"files: acc.gravity = .* belong together"),
        ("[files]\nname = '('\n" + MINIMAL, r"files\.name: not a regular expression"),
    ],
)
def test_a_malformed_profile_is_an_error_that_names_file_and_key(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint) as error:
        load_profile(write(tmp_path, text))
    assert "mine.toml" in str(error.value)


def test_a_profile_that_does_not_exist_is_an_error_that_lists_the_others(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no profile 'fitbit'; there are coremotion"):
        load_profile("fitbit")
    with pytest.raises(SettingsError, match=r"absent\.toml cannot be read: No such file"):
        load_profile(str(tmp_path / "absent.toml"))


def test_values_are_converted_to_g_and_radians() -> None:
    values = np.array([[1.0, 2.0, 3.0]])
    names = ("x", "y", "z")
    for acc, factor in (
        (AccLayout(fields=names, unit="m/s2"), 1 / STANDARD_GRAVITY),
        (AccLayout(fields=names, unit="mg"), 0.001),
        (AccLayout(fields=names, unit="g", scale=1 / 256), 1 / 256),
    ):
        np.testing.assert_allclose(acc.convert(values), values * factor, rtol=1e-15)
    gyro = GyroLayout(fields=names, unit="deg/s", scale=2)
    np.testing.assert_allclose(gyro.convert(values), values * np.pi / 90, rtol=1e-15)


def test_axes_are_put_in_our_order_and_sign() -> None:
    turned = turn_axes(np.array([[1.0, 2.0, 3.0]]), ("-y", "x", "-z"))
    assert turned.tolist() == [[-2, 1, -3]]
