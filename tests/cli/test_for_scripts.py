"""What scripts and shells read: JSON, completion, tracebacks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class
from click.testing import CliRunner

from streamer.cli import COMMANDS, main


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_help_may_come_before_the_command() -> None:
    assert run("help") == run("--help")
    assert run("help", "dlq", "list") == run("dlq", "list", "--help")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["rnu"], "run"),
        (["help", "explian"], "explain"),
        (["dlq", "lst"], "list"),
        (["gateway", "tokn"], "token"),
        (["run", "--bootstrap-server", "x"], "--bootstrap-servers"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_likely_one(typed: list[str], meant: str) -> None:
    result = CliRunner().invoke(main, typed)
    assert result.exit_code == 2
    assert f"Did you mean '{meant}'?" in result.stderr


def test_bash_completes_what_is_typed() -> None:
    # What bash does when the user types `streamer topics ch` and presses the tabulator.
    script = """
        eval "$(streamer completion bash)"
        COMP_WORDS=(streamer topics ch) COMP_CWORD=2
        function=$(complete -p streamer | grep -o '_[a-z_]*')
        $function streamer ch topics
        printf '%s' "${COMPREPLY[@]}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PATH": path},
    )
    assert done.stdout == "check", done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_shell_gets_its_script(shell: str) -> None:
    assert "_STREAMER_COMPLETE" in run("completion", shell)


def complete(*words: str) -> set[str]:
    found = get_completion_class("bash")
    assert found is not None
    completions = found(main, {}, "streamer", "_STREAMER_COMPLETE").get_completions(
        list(words[:-1]), words[-1]
    )
    return {each.value for each in completions}


def test_commands_options_and_values_are_completed() -> None:
    assert complete("ex") == {"explain"}
    assert complete("topics", "") == {"create", "check", "permissions"}
    assert complete("run", "--deliv") == {"--delivery"}
    assert complete("run", "--delivery", "") == {"exactly-once", "at-least-once"}
    assert complete("") == set(COMMANDS)


def test_plans_and_settings_are_json_for_scripts() -> None:
    assert json.loads(run("plan", "--devices", "100", "--json"))["workers"] == 1
    shown = json.loads(run("config", "show", "--group-id", "mine", "--json"))
    assert shown["group_id"] == {"value": "mine", "from": "flag --group-id"}


def test_an_inspection_is_json_for_scripts(tmp_path: Path) -> None:
    recording = tmp_path / "readings.jsonl"
    recording.write_text(
        "\n".join(
            json.dumps({"device_id": "a", "timestamp": 20 * i, "acc": [0, 0, 1], "gyro": [0, 0, 0]})
            for i in range(200)
        )
    )
    [report] = json.loads(run("devices", "inspect", str(recording), "--json"))["reports"]
    assert report["acc"]["rate_hz"] == pytest.approx(50)


def test_a_traceback_is_printed_for_those_who_ask(tmp_path: Path) -> None:
    command = ["config", "show", "--config", str(tmp_path / "nothing.toml")]
    for flags, traced in ((["--debug"], True), ([], False)):
        result = CliRunner().invoke(main, [*flags, *command])
        assert result.exit_code == 1
        assert ("Traceback" in result.stderr) is traced
        assert "Error: " in result.stderr


def test_a_pipe_gets_no_colours() -> None:
    program = "from streamer.cli import main; main()"
    command = [sys.executable, "-c", program, "plan", "--devices", "100"]
    environment = os.environ | {"TERM": "xterm-256color"}
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert b"\x1b" not in done.stdout + done.stderr
