import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from streamer import __version__
from streamer.cli import COMMANDS, main

HEAVY = {"numpy", "scipy", "aiokafka", "aiohttp", "pydantic", "rich"}


def streamer(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "streamer", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "100"},
    )


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from streamer.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print('imported:', *{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    shown, _, imported = done.stdout.partition("imported:")
    listed = {line.split()[0] for line in shown.partition("Commands:")[2].splitlines() if line}
    assert listed == set(COMMANDS)
    assert HEAVY.isdisjoint(imported.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    done = CliRunner().invoke(main, [name, "--help"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "--help" in done.output


def test_an_unknown_command_suggests_the_nearest() -> None:
    done = CliRunner().invoke(main, ["simulat"])
    assert done.exit_code == 2
    assert "There is no command 'simulat'. Did you mean 'simulate'?" in done.output


def test_an_unknown_command_without_a_similar_one_is_refused() -> None:
    done = CliRunner().invoke(main, ["zzzzz"])
    assert done.exit_code == 2
    assert "No such command 'zzzzz'" in done.output


def test_an_expected_error_is_printed_without_a_traceback(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    done = streamer("config", "check", "--config", str(missing))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"Error: cannot read the settings file {missing}: No such file or directory\n"
    )


def test_an_unknown_flag_is_a_usage_error() -> None:
    done = CliRunner().invoke(main, ["config", "check", "--log-level", "loud"])
    assert done.exit_code == 2
    assert "'loud' is not one of 'debug', 'info', 'warning', 'error'" in done.output


def test_a_command_that_succeeds_exits_with_zero() -> None:
    done = streamer("config", "check")
    assert (done.returncode, done.stdout) == (0, "The settings are valid.\n")


def test_ctrl_c_ends_with_130_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(main), "get_command", lambda *_: interrupted)
    done = CliRunner().invoke(main, ["run"])
    assert done.exit_code == 130
    assert "Traceback" not in done.output


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"streamer, version {__version__}\n"
