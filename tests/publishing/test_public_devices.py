"""Recordings of other people's devices, each in its own form, become labels or a word why not.

They are public, and not in this repository: see CONTRIBUTING.md. The labels are those that the
sources state.
"""

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from streamer.contracts.records import OneRecord
from streamer.datasets.recording_sources import read_for_replay
from streamer.profiles.choose_decoder import make_decoder
from streamer.profiles.profile import load_profile
from streamer.publishing.publisher import DeviceRecord
from streamer.publishing.record_file import RecordFile
from streamer.publishing.recorded_device import RecordedDevice
from streamer.publishing.sending import Sending
from streamer.settings import TOPIC_SETTINGS, Settings
from streamer.testing import START_MS, Published, run_script
from tests.conftest import MakeSettings
from tests.support.member import read_events, read_topic
from tests.support.worker_process import where

WALKING = {"walking", "walking_upstairs", "walking_downstairs"}
RESTING = {"sitting", "standing", "laying"}


def find(path: Path) -> Path:
    """Return a path, or skip the test where there is nothing."""
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


async def work(messages: Iterable[DeviceRecord], **settings: object) -> Published:
    """Process records as a worker does that gets them a year later."""
    later_ms = START_MS + 365 * 86_400_000
    return await run_script(
        [
            OneRecord(message.key, message.value, message.headers, later_ms + i, i)
            for i, message in enumerate(messages)
        ],
        settings=Settings.load(settings, None),
    )


def windows(published: Published) -> Counter[str]:
    """How many windows had each outcome."""
    return Counter(
        {
            sample.labels["outcome"]: int(sample.value)
            for metric in published.metrics.registry.collect()
            for sample in metric.samples
            if sample.name == "streamer_windows_total" and sample.value
        }
    )


@pytest.mark.parametrize(
    ("folder", "profile", "only", "right", "share"),
    [
        # Phone in the trouser pocket, CoreMotion, 50 Hz.
        ("motionsense-csv", "coremotion", "wlk*", WALKING, 0.9),
        ("motionsense-csv", "coremotion", "jog*", {"jogging"}, 0.9),
        ("motionsense-csv", "coremotion", "sit*", {"sitting"}, 0.9),
        # iPhone, 100 and 100.4 Hz, a file for each sensor, m/s2.
        ("phyphox", "phyphox", "*", WALKING, 0.7),
        # Board at the waist, 200 Hz, raw counts.
        ("sisfall-txt", "sisfall", "*", {"walking"}, 0.9),
        # Phone in the pocket, 200 Hz, no gyroscope.
        ("umafall", "umafall", "UMAFall_Subject_02_ADL_Walking*_0", WALKING, 0.9),
        ("umafall", "umafall", "UMAFall_Subject_02_ADL_Jogging*_0", {"jogging"}, 0.5),
        # SensorTags at 20 Hz, which lose packets.
        ("umafall", "umafall", "UMAFall_Subject_02_ADL_Walking*_1", WALKING, 0.9),
        # Phone and watch, some 100 Hz, irregular: sits down, stands up, walks and turns in 13 s.
        ("geotec", "geotec", "s01_01_sp", WALKING, 0.5),
        # A file for each sensor, some 200 Hz; excerpts of several activities.
        ("hhar", "hhar", "*", RESTING, 0.9),
    ],
)
async def test_recordings_get_the_labels_of_their_activities(
    devices_dir: Path, folder: str, profile: str, only: str, right: set[str], share: float
) -> None:
    layout = load_profile(profile).files
    recordings = read_for_replay(find(devices_dir / folder), layout, only, pytest.fail)
    sending = Sending(batch=50)
    devices = [RecordedDevice(each, START_MS, sending, loop=False) for each in recordings]
    messages = [message for device in devices for message in device.until(math.inf)]
    published = await work(messages)

    labels = Counter(event.activity for event in published.events)
    assert labels.total() >= 5
    assert sum(labels[each] for each in right) >= share * labels.total(), labels
    assert not published.dead_letters


async def test_recordings_without_gravity_are_named(devices_dir: Path) -> None:
    notes: list[str] = []
    folder = find(devices_dir / "sensor-logger")
    recordings = read_for_replay(folder, load_profile("sensor-logger").files, "*", notes.append)
    devices = [RecordedDevice(each, START_MS, Sending(), loop=False) for each in recordings]
    published = await work(message for each in devices for message in each.until(math.inf))

    assert all("is without gravity" in note for note in notes)
    assert len(notes) == len(recordings) == 2
    assert not published.events
    assert set(windows(published)) == {"implausible"}


@pytest.mark.parametrize(
    ("case", "activity", "share"),
    [
        ("01_right_walk", "walking", 0.7),
        ("07_right_stand", "standing", 0.9),
        ("08_100Hz_iphone_walk", "walking", 0.9),
    ],
)
async def test_public_readings_in_the_right_units_are_labelled(
    devices_dir: Path, case: str, activity: str, share: float
) -> None:
    published = await work(read_case(devices_dir, f"{case}.jsonl"))

    labels = Counter(event.activity for event in published.events)
    assert labels.total() >= 40
    assert labels[activity] >= share * labels.total(), labels


@pytest.mark.parametrize(
    ("case", "looks_like"),
    [
        ("02_acc_in_ms2", "acceleration in m/s2"),
        ("03_gyro_in_deg", "rotation in deg/s"),
        ("04_no_gravity", "acceleration without gravity"),
        ("06_gyro_zero", "silent gyroscope"),
    ],
)
async def test_readings_in_other_units_are_named(
    devices_dir: Path, case: str, looks_like: str
) -> None:
    published = await work(read_case(devices_dir, f"{case}.jsonl"))

    counted = published.metrics.implausible.labels(looks_like)._value.get()
    assert not published.events
    assert windows(published) == {"implausible": counted}
    assert counted >= 40


@pytest.mark.parametrize(
    ("case", "unit"), [("10_seconds_timestamps", "seconds"), ("11_ns_timestamps", "nanoseconds")]
)
async def test_times_in_other_units_are_rejected_by_name(
    devices_dir: Path, case: str, unit: str
) -> None:
    messages = read_case(devices_dir, f"{case}.jsonl")
    published = await work(messages)

    assert not published.events
    assert len(published.dead_letters) == len(messages)
    assert all(f"looks like {unit}" in letter.detail for letter in published.dead_letters)


def read_case(
    devices_dir: Path, name: str, readings_format: str = "streamer"
) -> list[DeviceRecord]:
    """Read the records of a case as `streamer replay` publishes them."""
    file = RecordFile(find(devices_dir / "cases" / name), make_decoder(readings_format))
    return list(file.until(0))


def streamer(
    settings: Settings, command: str, *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    """Run a command with the topics of a test."""
    flags = [*where(settings, *TOPIC_SETTINGS), *map(str, arguments)]
    return subprocess.run(
        [sys.executable, "-m", "streamer", command, *flags],
        capture_output=True,
        text=True,
        check=False,
    )


def label(settings: Settings, *flags: str) -> subprocess.CompletedProcess[str]:
    """Label all that the topic of readings has."""
    group = ("--group-id", settings.group_id)
    return streamer(settings, "run", *group, "--until-end", "--http-port", "0", *flags)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "readings_format", "code", "words"),
    [
        ("01_right_walk.jsonl", "streamer", 0, "'walking': "),
        ("02_acc_in_ms2.jsonl", "streamer", 3, "acceleration in m/s2"),
        ("03_gyro_in_deg.jsonl", "streamer", 3, "rotation in deg/s"),
        ("04_no_gravity.jsonl", "streamer", 3, "acceleration without gravity"),
        ("06_gyro_zero.jsonl", "streamer", 3, "silent gyroscope"),
        ("07_right_stand.jsonl", "streamer", 0, "'standing': "),
        ("08_100Hz_iphone_walk.jsonl", "streamer", 0, "'walking': "),
        ("10_seconds_timestamps.jsonl", "streamer", 3, "looks like seconds"),
        ("11_ns_timestamps.jsonl", "streamer", 3, "looks like nanoseconds"),
        ("13_sensorlogger_push.json", "sensor-logger", 3, "a window needs 2.6 s of both sensors"),
    ],
)
async def test_a_worker_says_what_is_wrong_with_a_case_and_ends_with_its_exit_code(
    devices_dir: Path,
    make_settings: MakeSettings,
    case: str,
    readings_format: str,
    code: int,
    words: str,
) -> None:
    settings, flags = make_settings(), ("--readings-format", readings_format)
    sent = streamer(settings, "replay", find(devices_dir / "cases" / case), *flags)
    assert sent.returncode == 0, sent.stderr

    run = label(settings, *flags)

    assert run.returncode == code, run.stderr
    letters = await read_topic(settings, settings.dlq_topic)
    assert words in run.stderr + "".join(str(letter.headers) for letter in letters)
    if code:
        assert "records were read and no event was published" in run.stderr


@pytest.mark.slow
async def test_the_recordings_of_every_source_get_labels_by_the_commands_of_the_documents(
    devices_dir: Path, make_settings: MakeSettings
) -> None:
    settings = make_settings()
    sources = {"motionsense-csv": "coremotion", "sisfall-txt": "sisfall"}
    sources |= {name: name for name in ("phyphox", "umafall", "geotec", "hhar", "sensor-logger")}
    devices: dict[str, set[str]] = {}
    for folder, profile in sources.items():
        source = find(devices_dir / folder)
        flags = ("--profile", profile, "--speed", "max", "--batch", "50")
        sent = streamer(settings, "replay", source, *flags)
        assert sent.returncode == 0, sent.stderr
        layout = load_profile(profile).files
        recordings = read_for_replay(source, layout, "*", lambda _: None)
        devices[profile] = {recording.name for recording in recordings}
    run = label(settings)

    assert run.returncode == 0, run.stderr
    labelled = {event.device_id for event in await read_events(settings)}
    # They have no file with gravity.
    assert not labelled & devices.pop("sensor-logger")
    assert "acceleration without gravity" in run.stderr
    for profile, those in devices.items():
        assert labelled >= those, profile


def test_two_commands_bring_a_recording_to_labels(
    devices_dir: Path, make_settings: MakeSettings
) -> None:
    settings = make_settings()
    phyphox = find(devices_dir / "phyphox")
    flags = ("--profile", "phyphox", "--speed", "max", "--batch", "50")
    sent = streamer(settings, "replay", phyphox, *flags)
    push = find(devices_dir / "cases" / "08_100Hz_iphone_walk.jsonl")
    pushed = streamer(settings, "replay", push)
    run = label(settings)

    assert (sent.returncode, pushed.returncode, run.returncode) == (0, 0, 0), run.stderr
    assert "12,000 samples" in sent.stdout
    assert "120 records" in pushed.stdout
    assert "'walking': " in run.stderr
