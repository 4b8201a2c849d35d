"""Scripts for `run_script` with marks in any places."""

from collections.abc import Sequence

from hypothesis import strategies as st

from streamer.contracts.events import encode_event
from streamer.contracts.readings import Record
from streamer.settings import Settings
from streamer.testing import CRASH, PAUSE, Mark, Published, run_script


def draw_marked(data: st.DataObject, records: Sequence[Record]) -> list[Record | Mark]:
    """Draw one to six pauses and crashes, and put them anywhere between the records."""
    script: list[Record | Mark] = list(records)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(script)))
        script.insert(place, data.draw(st.sampled_from([PAUSE, CRASH])))
    return script


async def run_in_any_way(
    data: st.DataObject,
    records: Sequence[Record],
    whole: Published,
    settings: Settings | None = None,
) -> Published:
    """Run records with any batches, pauses and crashes; the events must be those of `whole`."""
    script = draw_marked(data, records)
    batch = data.draw(st.sampled_from([1, 7, 50, 10_000]))
    published = await run_script(script, settings=settings, batch=batch)
    assert sorted(map(encode_event, published.events)) == sorted(map(encode_event, whole.events))
    return published
