"""Scripts for `run_script` with marks in any places."""

from collections.abc import Sequence

from hypothesis import strategies as st

from streamer.contracts.readings import Record
from streamer.testing import CRASH, PAUSE, Mark


def draw_marked(data: st.DataObject, records: Sequence[Record]) -> list[Record | Mark]:
    """Draw one to six pauses and crashes, and put them anywhere between the records."""
    script: list[Record | Mark] = list(records)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(script)))
        script.insert(place, data.draw(st.sampled_from([PAUSE, CRASH])))
    return script
