"""The commands of the documents are run as they are printed; the others are listed, with a reason.

One scenario on one broker runs the commands of the documents that a reader types one after the
other. They are taken from the text of the documents, so a change there is a change here.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from aiokafka import AIOKafkaProducer

from streamer.model import artifact
from streamer.settings import TOPIC_SETTINGS, Settings
from tests.conftest import MakeSettings
from tests.support.certificates import make_certificate
from tests.support.member import read_events, until
from tests.test_documents import DOCUMENTS, ROOT, blocks_of, commands_in, commands_of

RUN_HERE: Final = [
    ROOT / name
    for name in ("README.md", "docs/two-models.md", "docs/operations.md", "docs/gateway.md")
]
"""Documents whose commands the scenario runs, in this order."""

NOT_HERE: Final = {
    "broker": "the scenario has a broker; tests/localkafka/test_broker.py",
    "amazon-ml": "needs servers in the place of AWS; tests/end_to_end/test_model_life.py",
    "dataset": "tests/datasets/test_conversion.py, tests/datasets/test_feature_statistics.py",
    "devices inspect": "tests/cli/test_devices_command.py",
    "dlq predict": "needs an endpoint that refuses; tests/tools/test_window_replay.py",
    "endpoint": "tests/prediction_server/test_protocol.py",
    "evaluate --labels SOURCE": "has placeholders; tests/tools/test_replayed_events.py",
    "evaluate --labels $STREAMER_DEVICES_DIR": "tests/publishing/test_public_devices.py",
    "features join": "needs a bucket; tests/end_to_end/test_model_life.py",
    "feedback --device phone-17 --activity walking --since": "tests/kafka/test_ground_truth.py",
    "model adapt": "learns for a minute or more; tests/training/test_adaptation.py",
    "model compare": "learns for minutes; tests/cli/test_model_command.py",
    "model evaluate": "learns for minutes; tests/cli/test_model_command.py",
    "model history": "needs a bucket; tests/end_to_end/test_model_life.py",
    "model promote": "needs a bucket; tests/end_to_end/test_model_life.py",
    "model rollback": "needs a bucket; tests/end_to_end/test_model_life.py",
    "model show": "tests/cli/test_model_command.py",
    "model train": "learns for minutes; tests/cli/test_model_command.py",
    "model update": "needs a bucket; tests/tools/test_model_update.py",
    "plan": "tests/cli/test_for_scripts.py",
    "predict": "tests/tools/test_predict_source.py",
    "replay $STREAMER_DEVICES_DIR": "tests/publishing/test_public_devices.py",
    "replay SOURCE": "has placeholders; tests/publishing/test_public_devices.py",
    "replay push.json": "tests/publishing/test_public_devices.py",
    "replay readings.jsonl": "tests/publishing/test_public_devices.py",
    "run --model anna.npz": "tests/training/test_adaptation.py makes the model",
    "run --predictor": "needs an endpoint; tests/end_to_end/test_endpoints.py",
    "run --readings-format": "tests/publishing/test_public_devices.py",
    "run --store-features": "needs a bucket; tests/end_to_end/test_model_life.py",
    "topics permissions": "needs a broker with ACLs; tests/end_to_end/test_operator_tour.py",
}
"""Commands that the scenario does not run, by how they begin: why, or where they run."""

OTHER_PROGRAMS: Final = {
    "aws": "the client of AWS is not installed",
    "cp": "tests/kafka/test_partition_models.py changes a model's file",
    "curl": "tests/prediction_server/test_protocol.py",
    "make": "its targets are this test run, and others that take minutes",
    "moto_server": "tests/support/s3_server.py",
    "python": "programs in benchmarks/ and examples/; tests/end_to_end/test_model_life.py",
}
"""Other programs in the blocks; `kubectl` and `systemctl` need a cluster and an init system."""

SAYS: Final = {"run": "assigned", "gateway": "the gateway listens", "simulate": "", "watch": " "}
"""Commands that only a signal ends, and what they say when they work."""


def find_reason(command: str) -> str | None:
    """Return why the scenario does not run a command; None if it does."""
    return next((why for begin, why in NOT_HERE.items() if command.startswith(begin)), None)


def list_commands(documents: list[Path]) -> list[str]:
    """Return the calls of `streamer` in the blocks of documents, in order."""
    return [" ".join(words) for document in documents for words in commands_of(document)]


def list_runbook_commands() -> list[str]:
    """Return the different calls of `streamer` in the sentences of the runbooks."""
    pages = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
    return sorted(
        {each for page in pages for each in re.findall(r"`streamer ([^`]+)`", page.read_text())}
    )


def test_each_documented_command_runs_in_the_scenario_or_has_a_reason() -> None:
    # The scenario runs these itself, the second one with more options.
    here = {*list_commands(RUN_HERE), "topics create", "run --model mine.npz"}
    here.update(list_runbook_commands())
    commands = [*list_commands(DOCUMENTS), *list_runbook_commands()]
    assert [each for each in commands if each not in here and not find_reason(each)] == []
    # Each reason is that of some command, and names files that exist.
    unused = [begin for begin in NOT_HERE if not any(each.startswith(begin) for each in commands)]
    assert unused == []
    for why in (*NOT_HERE.values(), *OTHER_PROGRAMS.values()):
        for name in re.findall(r"tests/[\w/]+\.py", why):
            assert (ROOT / name).is_file(), name


def test_other_programs_in_the_blocks_have_a_reason() -> None:
    known = {"streamer", "export", ".", *OTHER_PROGRAMS}
    for document in DOCUMENTS:
        for block in blocks_of(document, "sh", "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                if not line.startswith(("#", "$", "You ")) and line.strip():
                    assert line.split()[0] in known, line


@dataclass
class Shell:
    """A folder with the files that the documents assume, and what runs in it."""

    folder: Path
    environment: dict[str, str]

    def start(self, command: str, log: Path) -> "subprocess.Popen[bytes]":
        line = f'"{sys.executable}" -c "from streamer.cli import main; main()" {command}'
        # Ctrl-C must reach the command itself; one that ends by itself may ask whether to go on.
        line = f"exec {line}" if is_background(command) else f"{line} <<< y"
        with log.open("wb") as output:
            return subprocess.Popen(
                ["bash", "-c", line],
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def run(self, command: str) -> int:
        """Run a command to its end; return its exit code."""
        log = self.folder / "command.log"
        code = self.start(command, log).wait(300)
        assert code in codes_of(command), f"{command}: {code}\n{log.read_text()}"
        return code

    @contextmanager
    def running(self, command: str) -> Iterator[Path]:
        """Run a command in the background, and end it by Ctrl-C."""
        log = self.folder / f"{command.split(maxsplit=1)[0]}.log"
        process = self.start(command, log)
        try:
            yield log
            assert process.poll() is None, f"{command}: {log.read_text()}"
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
            # A worker may have met only the records that are rejected.
            assert code in {0, 3, 130}, f"{command}: {code}\n{log.read_text()}"
        finally:
            process.kill()
            process.wait()


def codes_of(command: str) -> set[int]:
    """Return the exit codes with which a command has worked."""
    # A backfill begins without a belief, so its events may differ.
    return {0, 4} if command.startswith("events compare") else {0}


def is_background(command: str) -> bool:
    words = command.split()
    return words[0] in SAYS and not {"--until-end", "token"} & set(words)


def make_files(folder: Path, har_dir: Path) -> None:
    """Make the files that the documents name: models, a certificate, a few recordings."""
    for name in ("mine", "next", "new"):
        (folder / f"{name}.npz").symlink_to(artifact.DEFAULT_MODEL)
    chain, key = make_certificate(folder, "gateway")
    (folder / "chain.pem").symlink_to(chain)
    (folder / "key.pem").symlink_to(key)
    recordings = folder / "RawData"
    recordings.mkdir()
    numbers = set()
    for path in sorted((har_dir / "RawData").glob("acc_exp*"))[:3]:
        numbers.add(int(re.findall(r"exp(\d+)", path.name)[0]))
        for sensor in ("acc", "gyro"):
            name = path.name.replace("acc", sensor)
            (recordings / name).symlink_to((har_dir / "RawData" / name).resolve())
    rows = (har_dir / "RawData" / "labels.txt").read_text().splitlines(keepends=True)
    kept = [row for row in rows if int(row.split()[0]) in numbers]
    (recordings / "labels.txt").write_text("".join(kept))


async def publish_unreadable(settings: Settings) -> None:
    """Publish two records that become dead letters, for the reasons that the documents name."""
    value = b'{"device_id": "x", "timestamp": 1763906400000, "acc": [0,0,1e300], "gyro": [0,0,0]}'
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        for record in (b"{", value):
            await producer.send_and_wait(settings.readings_topic, record, b"x")


@pytest.mark.slow
async def test_the_commands_of_the_documents_work_one_after_the_other(
    make_settings: MakeSettings, har_dir: Path, tmp_path: Path
) -> None:
    settings = make_settings()
    names = (*TOPIC_SETTINGS, "group_id", "bootstrap_servers")
    shell = Shell(
        tmp_path,
        os.environ
        | {f"STREAMER_{name.upper()}": str(getattr(settings, name)) for name in names}
        | {"STREAMER_HAR_DIR": str(tmp_path), "STREAMER_HTTP_PORT": "0"}
        | {"STREAMER_GATEWAY_PORT": "0"},
    )
    make_files(tmp_path, har_dir)
    assert shell.run("topics create") == 0
    await publish_unreadable(settings)

    blocks = [each for document in RUN_HERE for each in blocks_of(document, "sh", "bash")]
    sessions = [[" ".join(words) for words in commands_in(block)] for block in blocks]
    printed = {command for session in sessions for command in session}
    sessions.append([each for each in list_runbook_commands() if each not in printed])
    for session in sessions:
        commands = [each for each in session if not find_reason(each)]
        for command in commands:
            if not is_background(command):
                await asyncio.to_thread(shell.run, set_range(command))
        await run_together(shell, settings, [each for each in commands if is_background(each)])


def set_range(command: str) -> str:
    """Put the last day in the place of the range of time that a document names."""
    begin, end = (datetime.now(UTC) - timedelta(days=days) for days in (1, 0))
    command = re.sub(r"(?<=--from )\S+Z", f"{begin:%Y-%m-%dT%H:%M:%SZ}", command)
    return re.sub(r"(?<=--to )\S+Z", f"{end:%Y-%m-%dT%H:%M:%SZ}", command)


async def run_together(shell: Shell, settings: Settings, commands: list[str]) -> None:
    """Run commands beside each other until each works, and end them by Ctrl-C."""
    with ExitStack() as running:
        logs = {each: running.enter_context(shell.running(each)) for each in commands}

        async def work() -> bool:
            simulated = any(each.startswith("simulate") for each in commands)
            if simulated and not await read_events(settings):
                return False
            return all(SAYS[each.split()[0]] in log.read_text() for each, log in logs.items())

        await until(work)
