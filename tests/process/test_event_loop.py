"""A process ends, and says nothing more, whatever its tasks do when they are cancelled."""

import asyncio
import subprocess
import sys

import pytest

from streamer.process.event_loop import run_to_completion

STUBBORN = """
import asyncio
from streamer.process import event_loop

event_loop.LEFT_S = 0.1


async def commit():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass  # as aiokafka's producer does while no broker answers


class Lane:
    async def run(self):
        while True:
            try:
                try:
                    await commit()
                finally:
                    async with asyncio.timeout(3600):  # a broker is to be told, and is gone
                        await asyncio.sleep(3600)
            except Exception as error:
                print("something broke", repr(error))


async def main():
    lanes = [Lane() for _ in range(3)]
    tasks = [asyncio.create_task(lane.run()) for lane in lanes]
    await asyncio.sleep(0.05)
    return 7


assert event_loop.run_to_completion(main()) == 7
"""


def test_tasks_that_do_not_end_are_abandoned_without_a_message() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_error_of_the_work_is_raised_after_its_tasks_have_ended() -> None:
    ended = []

    async def task() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    async def main() -> None:
        tasks = [asyncio.create_task(task())]
        await asyncio.sleep(0)
        raise LookupError(str(len(tasks)))

    with pytest.raises(LookupError, match="1"):
        run_to_completion(main())
    assert ended == [True]
