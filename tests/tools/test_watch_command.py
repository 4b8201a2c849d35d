"""`streamer watch` as a process, on a real Kafka."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from streamer.kafka import topics
from streamer.localkafka.broker import LocalKafka
from streamer.settings import Settings
from tests.conftest import MakeSettings
from tests.support.events import WALK
from tests.tools.test_replayed_events import publish


@contextmanager
def watching(settings: Settings, *flags: str) -> Iterator["subprocess.Popen[str]"]:
    where = ["--bootstrap-servers", settings.bootstrap_servers]
    where += ["--events-topic", settings.events_topic]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamer", "watch", *where, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


async def test_changes_are_lines_where_there_is_no_terminal_and_ctrl_c_ends_well(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    await publish(settings, [WALK, WALK], partition=0)

    with watching(settings, "--from-beginning") as process:
        assert read_line(process) == "2025-11-23 14:00:00 phone-17 walking 100%\n"
        await publish(settings, [WALK, WALK], partition=1)
        assert read_line(process).startswith("phone-17: events in two partitions (0 and 1)")
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)

    assert (process.returncode, rest, errors) == (0, "", "")


async def test_the_loss_and_the_return_of_a_broker_are_shown(
    make_settings: MakeSettings,
) -> None:
    with LocalKafka() as kafka:
        settings = make_settings(bootstrap_servers=kafka.bootstrap_servers)
        await topics.ensure(settings)
        await publish(settings, [WALK], partition=0)
        with watching(settings, "--from-beginning") as process:
            assert "phone-17" in read_line(process)
            kafka.stop()
            assert read_line(process) == "no Kafka broker answers, trying again\n"
            kafka.start()
            assert read_line(process) == "connected again\n"
