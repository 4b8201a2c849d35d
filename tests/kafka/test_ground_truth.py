"""Ground truth in Kafka: by the command line and back."""

import asyncio
import time

import pytest
from click.testing import CliRunner

from streamer.cli import main
from streamer.contracts.ground_truth import ActivityLabel
from streamer.errors import TopicError
from streamer.kafka.ground_truth import publish_label, read_labels
from streamer.kafka.reader import open_reader, read_to_end
from tests.conftest import MakeSettings
from tests.support.worker_process import where


async def test_a_label_is_written_once_by_the_device_and_read_again(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=2)
    labels = [
        ActivityLabel(device_id=name, start=1000, end=2000, activity="walking", by="anna")
        for name in ("a", "b")
    ]
    for label in labels:
        await publish_label(settings, label)
    assert sorted(await read_labels(settings), key=lambda label: label.device_id) == labels
    async with open_reader(settings, settings.labels_topic, "earliest") as consumer:
        keys = [each.key async for each in read_to_end(consumer)]
    assert (len(keys), set(keys)) == (2, {b"a", b"b"})


async def test_without_a_topic_of_labels_the_error_names_the_setting(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(create_topics=False)
    label = ActivityLabel(device_id="a", start=1, end=2, activity="walking", by="anna")
    with pytest.raises(TopicError, match=f"labels_topic: there is no .* {settings.labels_topic}"):
        await publish_label(settings, label)
    with pytest.raises(TopicError, match="`streamer topics create`"):
        await read_labels(settings)


def test_the_command_writes_a_label_and_refuses_one_that_cannot_be_true(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1)
    flags = ["feedback", *where(settings, "labels_topic"), "--device", "phone"]
    before_ms = time.time_ns() // 1_000_000

    done = CliRunner().invoke(main, [*flags, "--activity", "walking", "--by", "anna"])
    refused = CliRunner().invoke(main, [*flags, "--activity", "wlking"])
    future = CliRunner().invoke(
        main, [*flags, "--activity", "walking", "--until", "2100-01-01T00:00:00Z"]
    )

    assert (done.exit_code, "phone was walking for 60 s, says anna" in done.output) == (0, True)
    assert (refused.exit_code, "is walking meant?" in refused.output) == (1, True)
    assert (future.exit_code, "in the future" in future.output) == (1, True)
    [label] = asyncio.run(read_labels(settings))
    assert (label.device_id, label.activity, label.by) == ("phone", "walking", "anna")
    assert label.end - label.start == 60_000
    assert label.end >= before_ms
