"""`streamer evaluate` on a real Kafka."""

import io
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from rich.console import Console

from streamer.contracts.events import ActivityEvent, encode_event, window_id
from streamer.datasets.public_recordings import read_labels
from streamer.errors import DataError, TopicError
from streamer.kafka import topics
from streamer.model import artifact
from streamer.publishing.replay import replay
from streamer.publishing.sending import Sending
from streamer.settings import Settings
from streamer.tools.replayed_events import align_replayed
from streamer.training.event_alignment import Alignment
from streamer.training.train import train
from tests.conftest import MakeSettings
from tests.support.events import WALK
from tests.support.recordings import windows_of

NOON_MS, EVENING_MS = 1_763_899_200_000, 1_763_920_800_000


async def play(settings: Settings, raw_dir: Path, start_ms: float) -> None:
    sending = Sending(speed=math.inf, batch=100, start_ms=start_ms)
    await replay(settings, raw_dir, sending, console=Console(file=io.StringIO()))


async def publish(
    settings: Settings,
    events: Sequence[ActivityEvent | bytes],
    *,
    abort: bool = False,
    partition: int | None = None,
) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, transactional_id=settings.events_topic
    ) as producer:
        await producer.begin_transaction()
        for event in events:
            value = event if isinstance(event, bytes) else encode_event(event)
            await producer.send_and_wait(settings.events_topic, value, partition=partition)
        await (producer.abort_transaction() if abort else producer.commit_transaction())


def event(device: str, start_ms: int, activity: str) -> ActivityEvent:
    return msgspec.structs.replace(
        WALK,
        window_id=window_id(device, start_ms),
        device_id=device,
        window_start=start_ms,
        window_end=start_ms + 2560,
        activity=activity,
    )


# The invented users walk for samples 0 to 700 (14 s) and sit from sample 2400 (48 s) on.
async def test_each_event_is_judged_by_its_replay(
    make_settings: MakeSettings, raw_dir: Path
) -> None:
    settings = make_settings()
    await play(settings, raw_dir, NOON_MS)
    await play(settings, raw_dir, EVENING_MS)
    walking, sitting = "walking", "sitting"
    await publish(
        settings,
        [
            event("exp01_user01", NOON_MS + 3000, walking),
            event("exp02_user02", EVENING_MS + 3000, sitting),
            event("exp02_user02", EVENING_MS + 50_000, sitting),
            event("exp02_user02", EVENING_MS + 13_000, walking),
            event("exp02_user02", NOON_MS - 3000, walking),
            event("phone-17", NOON_MS + 3000, walking),
        ],
    )
    await publish(settings, [event("exp01_user01", NOON_MS + 4000, sitting)], abort=True)

    alignment = await align_replayed(settings, read_labels(raw_dir / "labels.txt"))

    assert sorted(alignment.pairs) == [(sitting, sitting), (walking, sitting), (walking, walking)]
    alignment.pairs.clear()
    alignment.raw_pairs.clear()
    assert alignment == Alignment(unlabelled=1, unknown_device=1, outside_replay=1)


async def test_no_events_give_no_windows(make_settings: MakeSettings, raw_dir: Path) -> None:
    settings = make_settings()
    await topics.ensure(settings)

    assert await align_replayed(settings, read_labels(raw_dir / "labels.txt")) == Alignment()


async def test_a_missing_topic_is_an_error_that_names_it(
    make_settings: MakeSettings, raw_dir: Path
) -> None:
    settings = make_settings()

    with pytest.raises(TopicError, match=f"no topic {settings.events_topic}"):
        await align_replayed(settings, read_labels(raw_dir / "labels.txt"))


async def test_a_topic_with_other_records_is_refused(
    make_settings: MakeSettings, raw_dir: Path
) -> None:
    settings = make_settings()
    await topics.ensure(settings)
    await publish(settings, [b"hello"])

    with pytest.raises(DataError, match="not an activity event"):
        await align_replayed(settings, read_labels(raw_dir / "labels.txt"))


async def test_a_worker_recognizes_replayed_people_it_has_not_learned_from(
    make_settings: MakeSettings, raw_dir: Path, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    settings = make_settings()
    artifact.save(tmp_path / "model.npz", train(windows_of(raw_dir, "1", "2"), "invented"))
    await play(settings, raw_dir, math.floor(time.time() * 1000) - 200_000)

    def streamer(command: str, *arguments: str | Path) -> bytes:
        where = ["--bootstrap-servers", settings.bootstrap_servers]
        where += ["--readings-topic", settings.readings_topic]
        where += ["--events-topic", settings.events_topic]
        return subprocess.run(
            [sys.executable, "-m", "streamer", command, *where, *map(str, arguments)],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout

    group = ("--group-id", settings.group_id, "--dlq-topic", settings.dlq_topic)
    # The invented people pass from walking to sitting in no time, which smoothing does not expect.
    run = ("run", "--no-smoothing", "--until-end", "--http-port", "0")
    streamer(*run, *group, "--model", tmp_path / "model.npz")
    found = msgspec.json.decode(streamer("evaluate", "--labels", raw_dir / "labels.txt", "--json"))
    table = streamer("evaluate", "--labels", raw_dir / "labels.txt").decode()

    # 8 or 9 windows in each of 6 segments of 3 users.
    assert 140 <= found["windows"] <= 170
    assert found["macro_f1"] > 0.9
    assert f"macro-F1 {found['macro_f1']:.4f}" in table
