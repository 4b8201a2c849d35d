"""The same job in other programs, and in ours: samples per second, readings to events in Kafka.

    python benchmarks/peers/run.py --peers-python .venv-peers/bin/python [--repeat 5]

One sample a JSON record in a topic of four partitions that was written before, unless it says
batches; all 561 features, a model, events out. Contestants take turns on one broker; medians, and
ratios to the plain aiokafka program, are reported. What counts is the time in which all of a
contestant's processes are at work, see `steady_rate`, by the broker's clock.
"""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
from aiokafka.admin import NewTopic

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.figures import report
from benchmarks.throughput import HOP, PARTITIONS, Case, event_times_ms, steady_rate, write
from streamer.kafka import topics
from streamer.kafka.reader import open_reader
from streamer.localkafka.broker import LocalKafka
from streamer.settings import Settings

HERE = Path(__file__).parent
DEVICES = 200
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Contestant:
    """A program that does the job.

    Attributes:
        name: what the table calls it.
        does: with which guarantee.
        script: a peer's; None for ours.
        samples: in its topic: enough for some ten seconds.
        format: of the readings.
        batch: samples a record.
        workers: of ours.
    """

    name: str
    does: str
    script: str | None
    samples: int
    format: str = "json"
    batch: int = 1
    workers: int = 1

    @property
    def case(self) -> Case:
        """Its topic."""
        return Case(
            self.workers,
            self.format,
            self.batch,
            DEVICES,
            "exactly-once",
            commit_interval_ms=100,
            pinned=False,
        )


PEERS = [
    Contestant("plain aiokafka", "no guarantee", "plain.py", 800_000),
    Contestant("Bytewax 0.21", "no recovery", "bytewax_flow.py", 800_000),
    Contestant("Quix Streams 3.28", "at least once", "quix.py", 800_000),
    Contestant("streamer, 1 worker", "exactly once", None, 9_000_000),
    Contestant("streamer, 2 workers", "exactly once", None, 9_000_000, workers=2),
    Contestant("streamer, 2 workers, JSON batches of 50", "exactly once", None, 20_000_000,
               batch=50, workers=2),
    Contestant("streamer, 2 workers, binary batches of 50", "exactly once", None, 20_000_000,
               format="f32", batch=50, workers=2),
]  # fmt: skip


@click.command()
@click.option("--peers-python", required=True, help="Python that has the peers installed.")
@click.option("--repeat", default=5, show_default=True)
@click.option("--chart", type=click.Path(path_type=Path), help="Where to draw the result (PNG).")
def main(peers_python: str, repeat: int, chart: Path | None) -> None:
    """Print a JSON line for each contestant, and a table."""
    found: dict[Contestant, list[float]] = {each: [] for each in PEERS}
    with LocalKafka(rebalance_delay_s=3) as kafka:
        address = {"bootstrap_servers": kafka.bootstrap_servers, "partitions": PARTITIONS}
        written: set[str] = set()
        for each in PEERS:
            topic = f"{each.case.topic}-{each.samples}"
            if topic not in written:
                written.add(topic)
                settings = Settings.load(address | {"readings_topic": topic})
                asyncio.run(write(settings, each.case, each.samples))
        for turn in range(repeat):
            for number, each in enumerate(PEERS):
                settings = Settings.load(
                    address
                    | {
                        "readings_topic": f"{each.case.topic}-{each.samples}",
                        "events_topic": f"events-{turn}-{number}",
                        "group_id": f"group-{turn}-{number}",
                    }
                )
                found[each].append(samples_per_second(settings, each, peers_python))
                click.echo(f"turn {turn + 1}: {each.name}: {found[each][-1]:,.0f}", err=True)
    lines = figures(found)
    report(lines)
    if chart:
        draw(lines, peers_python, chart)


def samples_per_second(settings: Settings, each: Contestant, peers_python: str) -> float:
    asyncio.run(create_topics(settings))
    where = [settings.bootstrap_servers, settings.readings_topic, settings.events_topic]
    if each.script:
        command = [peers_python, str(HERE / each.script), *where]
    else:
        command = [
            *(sys.executable, "-m", "streamer", "run", "--until-end", "--http-port", "0"),
            *("--workers", str(each.workers), "--group-id", settings.group_id),
            *("--bootstrap-servers", where[0], "--readings-topic", where[1]),
            *("--events-topic", where[2], "--log-level", "warning"),
        ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            times_ms = asyncio.run(until_done(settings, each, process))
        except TimeoutError:
            log.seek(0)
            raise click.ClickException(f"{each.name}: {log.read().decode()[-2000:]}") from None
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
    return steady_rate(times_ms)


async def create_topics(settings: Settings) -> None:
    """Events get the broker's time: some programs hand on that of the reading."""
    async with topics.admin_client(settings, 10) as admin:
        config = {"message.timestamp.type": "LogAppendTime"}
        await admin.create_topics(
            [NewTopic(settings.events_topic, PARTITIONS, 1, topic_configs=config)]
        )
    await topics.ensure(settings, 10)


async def until_done(
    settings: Settings, each: Contestant, process: "subprocess.Popen[bytes]"
) -> dict[int, list[int]]:
    """Wait for all the events that there can be; when each was written.

    Ours ends by itself. Of the others the events are counted, which costs nobody any time: they
    write no transactions, whose ends have offsets too.
    """
    hops = each.samples // DEVICES // HOP
    expected, deadline = DEVICES * (hops - 3), time.monotonic() + PATIENCE_S
    async with open_reader(settings, settings.events_topic, "earliest", 10) as consumer:
        while process.poll() is None:
            ends = await consumer.end_offsets(consumer.assignment())
            if each.script and sum(ends.values()) >= expected:
                break
            if time.monotonic() > deadline:
                raise TimeoutError
            await asyncio.sleep(0.5)
    if process.returncode:
        raise TimeoutError
    return await event_times_ms(settings)


def figures(found: dict[Contestant, list[float]]) -> list[dict[str, object]]:
    plain = statistics.median(found[PEERS[0]])
    return [
        {
            "benchmark": "peers",
            "program": each.name,
            "does": each.does,
            "samples_per_second": round(statistics.median(rates)),
            "ratio": round(statistics.median(rates) / plain, 1),
            "lowest": round(min(rates)),
            "highest": round(max(rates)),
        }
        for each, rates in found.items()
    ]


def draw(lines: list[dict[str, object]], peers_python: str, path: Path) -> None:
    """With matplotlib, which the peers' environment has."""
    subprocess.run(
        [peers_python, str(HERE / "chart.py"), str(path)],
        input=json.dumps(lines).encode(),
        check=True,
    )


if __name__ == "__main__":
    main()
