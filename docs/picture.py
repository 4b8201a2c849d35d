"""Makes the README's picture from a real run: `python docs/picture.py` rewrites docs/watch.svg.

A broker, a worker and simulated people, as in `make demo`, watched for some seconds.
"""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from streamer.kafka import topics
from streamer.kafka.event_formats import make_event_decoder
from streamer.kafka.reader import open_reader
from streamer.localkafka.broker import LocalKafka
from streamer.settings import Settings
from streamer.tools.board import Board
from streamer.tools.event_feed import follow_events
from streamer.tools.watch import table

SECONDS = 45
DEVICES = 12
PICTURE = Path(__file__).with_name("watch.svg")


async def watch(settings: Settings) -> tuple[Board, float]:
    """The board as it is after some seconds."""
    board, end_s = Board(), time.monotonic() + SECONDS
    async with open_reader(settings, settings.events_topic, "earliest") as consumer:
        async for news in follow_events(consumer, make_event_decoder(settings)):
            board.update(news.events, time.monotonic())
            if time.monotonic() > end_s:
                break
    return board, time.monotonic()


def main() -> None:
    with LocalKafka() as kafka:
        where = {"bootstrap_servers": kafka.bootstrap_servers}
        settings = Settings.load(where)
        asyncio.run(topics.ensure(settings))
        streamer = [sys.executable, "-m", "streamer"]
        flags = ["--bootstrap-servers", kafka.bootstrap_servers]
        people = ["simulate", "--devices", str(DEVICES), "--batch", "10"]
        programs = [
            subprocess.Popen([*streamer, "run", "--http-port", "0", *flags]),
            subprocess.Popen([*streamer, *people, *flags]),
        ]
        try:
            board, now_s = asyncio.run(watch(settings))
        finally:
            for program in programs:
                program.terminate()
            for program in programs:
                program.wait()
    console = Console(record=True, width=92)
    console.print(table(board, now_s, DEVICES, ""))
    console.save_svg(str(PICTURE), title="streamer watch")


if __name__ == "__main__":
    main()
