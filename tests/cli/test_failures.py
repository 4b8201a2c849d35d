"""A command that fails ends with words: what, where, what to do; as JSON where logs are JSON."""

import getpass
import json
import os
import subprocess
import sys
from pathlib import Path

import aiokafka.errors
import click
import pytest
from click.testing import CliRunner

from streamer.cli import main
from streamer.errors import DataError, TopicError


def run_cli(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "streamer", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | variables,
    )


def failing(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command prints that fails with this error."""

    @click.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(type(main), "get_command", lambda *_: fail)
    done = CliRunner().invoke(main, ["dlq"])
    assert done.exit_code == 1
    assert "Traceback" not in done.output
    return done.output


def test_the_last_line_is_json_where_logs_are_json(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.npz")
    where = ("--http-port", "0", "--bootstrap-servers", "127.0.0.1:9", "--model", missing)
    done = run_cli("run", *where, "--log-format", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert lines[-1]["level"] == "error"
    assert missing in lines[-1]["event"]


def test_feedback_of_a_user_without_a_name_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", fail)
    done = CliRunner().invoke(main, ["feedback", "--device", "phone", "--activity", "walking"])
    assert done.exit_code == 1
    assert "--by names who says so" in done.output


@pytest.mark.parametrize("wrong", ["0", "many"])
def test_errors_of_settings_are_json_when_any_source_sets_the_format(wrong: str) -> None:
    for flags, variables in (
        (["--log-format", "json"], {}),
        ([], {"STREAMER_LOG_FORMAT": "json"}),
    ):
        done = run_cli("run", *flags, STREAMER_PARTITIONS=wrong, **variables)
        [line] = [json.loads(each) for each in done.stderr.splitlines()]
        assert done.returncode == 1
        assert line["event"].startswith("partitions (environment STREAMER_PARTITIONS): should be")


def test_the_error_of_a_missing_settings_file_is_json_too(tmp_path: Path) -> None:
    done = run_cli("run", "--config", str(tmp_path / "none.toml"), "--log-format", "json")
    [line] = [json.loads(each) for each in done.stderr.splitlines()]
    assert "cannot read the settings file" in line["event"]


@pytest.mark.parametrize(
    "error",
    [
        aiokafka.errors.TopicAuthorizationFailedError("sensor-readings.dlq"),
        aiokafka.errors.SaslAuthenticationFailed("wrong password"),
        aiokafka.errors.KafkaConnectionError("connection refused"),
        aiokafka.errors.ProducerFenced(),
        ExceptionGroup("several", [aiokafka.errors.RequestTimedOutError()]),
    ],
)
def test_an_error_of_the_kafka_client_is_a_sentence_without_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = failing(error, monkeypatch)
    assert said.startswith("Error: Kafka does not do what was asked: ")
    assert "check the brokers, the login and the rights of this user" in said


def test_several_errors_are_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ExceptionGroup("", [TopicError("no topic"), DataError("no data"), DataError("no data")])
    assert failing(error, monkeypatch) == "Error: no topic; no data\n"


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(main), "get_command", lambda *_: fail)
    failed = CliRunner().invoke(main, ["dlq"])
    assert failed.exit_code == 1
    assert failed.output.startswith("Traceback")
    assert failed.output.endswith("\nZeroDivisionError\n")
