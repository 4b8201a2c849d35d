"""Colours of activities on a terminal."""

from typing import Final

from streamer.contracts.activities import UNKNOWN

ACTIVITY_COLOURS: Final = {
    "walking": "green",
    "walking_upstairs": "bright_green",
    "walking_downstairs": "cyan",
    "sitting": "yellow",
    "standing": "bright_yellow",
    "laying": "magenta",
    "jogging": "bright_red",
    UNKNOWN: "dim",
}
OTHER_COLOUR: Final = "blue"
"""Colour of all other activities."""
