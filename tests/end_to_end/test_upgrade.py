"""An upgrade without a stop: workers of the previous version and of this one share a group."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import MakeSettings
from tests.support.feeding import append, feeding
from tests.support.fleet import fleet
from tests.support.golden import compare, golden, read_published
from tests.support.log import make_log
from tests.support.previous_version import HERE, unpack_previous

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_previous(tmp_path_factory.mktemp("previous"))


async def test_workers_are_upgraded_and_taken_back_one_by_one_under_load(
    make_settings: MakeSettings, tmp_path: Path, previous: Path
) -> None:
    #   load     |-------|-------|-------|-------|-------|-------|
    #   a        |- old -| new ----------| old ----------| new --|   stopped, replaced
    #   b        |- old ---------x new --------------------------|   killed, replaced
    log = make_log(300, seed=5)
    # The two versions smooth differently, and each continues from what the other has published.
    settings = make_settings(smoothing=False)
    shares = [i / 6 for i in range(7)]
    with fleet(settings, tmp_path) as running:
        async with feeding(settings) as producer:

            async def feed(part: int) -> None:
                # A little at a time, so that workers are replaced while they have work.
                begin, end = shares[part : part + 2]
                steps = [begin + (end - begin) * i / 10 for i in range(11)]
                for share in pairwise(steps):
                    await append(producer, settings.readings_topic, log, share)
                    await asyncio.sleep(0.3)

            async def replace(name: str, old: str, code: Path) -> None:
                await asyncio.to_thread(running.stop, old)
                running.start(name, code=code)
                await asyncio.to_thread(running.says, name, "assigned")

            running.start("a-old", code=previous)
            running.start("b-old", code=previous)
            for name in ("a-old", "b-old"):
                await asyncio.to_thread(running.says, name, "assigned")
            await feed(0)
            await asyncio.gather(feed(1), replace("a-new", "a-old", HERE))
            running.kill("b-old")
            running.start("b-new", code=HERE)
            await feed(2)
            await asyncio.to_thread(running.says, "b-new", "assigned")
            await asyncio.gather(feed(3), replace("a-back", "a-new", previous))
            await feed(4)
            await asyncio.gather(feed(5), replace("a-again", "a-back", HERE))
        await asyncio.to_thread(running.stop, "a-again", "b-new")
        await asyncio.to_thread(running.run_to_end)
        # Each version has read positions of the other one.
        for name in ("a-new", "b-new", "a-back", "a-again"):
            assert "was not committed by this program" not in running.text(name)
            assert "recovered" in running.text(name), running.text(name)
    verdict = compare(await golden(log, settings), await read_published(settings))
    assert verdict.good, f"{verdict}, order of {verdict.disordered}"
