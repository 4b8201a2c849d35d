"""What the documents name exists: files, functions, headings, commands and their options."""

import ast
import json
import re
import tomllib
from pathlib import Path

import click
import pytest
import yaml

from streamer.cli import COMMANDS, main
from streamer.contracts.readings import LARGEST_BATCH, LONGEST_DEVICE_ID
from streamer.flow.pipeline import LARGEST_LETTERS, ON_THE_WAY
from streamer.kafka.member import LARGEST_FETCH
from streamer.kafka.record_batches import KEPT_BYTES, LARGEST_RECORD, PART_BYTES, PART_RECORDS
from streamer.settings import GatewaySettings

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / name for name in ("README.md", "DESIGN.md", "CONTRIBUTING.md")]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))
FILES = [
    path.relative_to(ROOT).as_posix()
    for folder in ("streamer", "tests", "docs", "deploy", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*")
    if path.is_file()
] + [path.name for path in ROOT.iterdir()]


def find_files(name: str) -> list[Path]:
    """Return the files whose path is this name, or ends with it."""
    return [ROOT / file for file in FILES if file == name or file.endswith(f"/{name}")]


def headings_of(page: Path) -> set[str]:
    """Return the anchors of a page, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_functions_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for name, symbol in re.findall(r"`([\w/-]+\.(?:py|md|yml|toml|json))(?::([\w.]+))?`", text):
        found = find_files(name)
        assert found, name
        for part in symbol.split(".") if symbol else ():
            assert any(
                re.search(rf"\b(?:def|class) {part}\b", path.read_text(encoding="utf-8"))
                for path in found
            ), f"{name}:{symbol}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_pages_and_headings_that_a_document_links_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for page, _, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)(#([^)\s]*))?\)", text):
        linked = document.parent / page if page else document
        assert linked.exists(), page
        assert not heading or heading in headings_of(linked), f"{page}#{heading}"


BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks_of(document: Path, *languages: str) -> list[str]:
    """Return the blocks of code of a document in some languages."""
    found = BLOCK.findall(document.read_text(encoding="utf-8"))
    return [text for language, text in found if language in languages]


def commands_of(document: Path) -> list[list[str]]:
    """Return the calls of `streamer` in the blocks of a document, as words."""
    return [words for block in blocks_of(document, "sh", "bash") for words in commands_in(block)]


def commands_in(block: str) -> list[list[str]]:
    """Return the calls of `streamer` in a block for a shell, as words."""
    calls = []
    for line in block.replace("\\\n", " ").splitlines():
        # What a shell does with a command: pipes, variables, jobs, the prompt.
        for part in re.split(r"\||&&|;|\$\(", line.partition(" #")[0]):
            words = part.replace("&", " ").replace(")", " ").split()
            while words and (re.match(r"\w+=", words[0]) or words[0] in {"nohup", "exec", "$"}):
                words = words[1:]
            if words and words[0] == "streamer":
                calls.append(words[1:])
    return calls


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_a_document_have_the_options_that_they_are_given(document: Path) -> None:
    for words in commands_of(document):
        command: click.Command = main
        context = click.Context(main)
        rest = list(words)
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            found = command.get_command(context, rest.pop(0))
            assert found is not None, words
            command = found
        if isinstance(command, click.Group) and "serve" in command.commands:
            command = command.commands["serve"]  # what the group does without a command
        options = {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)}
        given = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert given <= options | {"--help", "--version"}, words


def test_the_table_of_commands_in_the_readme_has_every_command() -> None:
    context = click.Context(main)
    expected: set[tuple[str, ...]] = set()
    for name in COMMANDS:
        command = main.get_command(context, name)
        parts = command.commands if isinstance(command, click.Group) else {}
        # `serve` is what `endpoint` does without a command.
        expected |= {(name, part) for part in parts if name != "endpoint"} or {(name,)}

    found = set()
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for row in re.findall(r"^\| (`streamer .*?) \|", text, re.MULTILINE):
        command_name = ""
        for cell in re.findall(r"`([^`]+)`", row):
            words = cell.removeprefix("streamer ").split()
            if (command_name, *words) in expected:
                words = [command_name, *words]
            command_name = words[0]
            found.add(tuple(words))
    assert found == expected


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_blocks_of_code_in_a_document_are_well_formed(document: Path) -> None:
    for text in blocks_of(document, "python"):
        compile(text, document.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for text in blocks_of(document, "toml"):
        tomllib.loads(text)
    for text in blocks_of(document, "json"):
        for line in text.splitlines() if text.startswith("{") and "}\n{" in text else [text]:
            json.loads(line)
    for text in blocks_of(document, "yaml", "yml"):
        yaml.safe_load(text)


def test_the_bounds_of_the_document_are_those_of_the_code() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    [section] = re.findall(r"^## Bounds\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    gateway = {name: field.default for name, field in GatewaySettings.model_fields.items()}
    mb = 2**20
    for figure in (
        f"{LARGEST_FETCH // mb} MB, and as many more wait",
        f"{PART_BYTES // mb} MB or {PART_RECORDS:,} records",
        f"{LARGEST_RECORD // mb} MB unpacked | a dead letter, with the first {KEPT_BYTES >> 10} kB",
        f"samples in a record | {LARGEST_BATCH:,}",
        f"{LONGEST_DEVICE_ID} bytes",
        f"not committed | {ON_THE_WAY} |",
        f"{LARGEST_LETTERS // mb} MB | it is committed",
        f"`max_devices`, {gateway['max_devices']:,}",
        f"`gateway_max_body_bytes`, {gateway['gateway_max_body_bytes'] // mb} MB",
        f"`gateway_max_readings`, {gateway['gateway_max_readings']:,}",
        f"`gateway_max_samples_per_s`, {gateway['gateway_max_samples_per_s']:,}",
        f"`gateway_max_devices_per_token`, {gateway['gateway_max_devices_per_token']:,}",
        f"`gateway_buffer_bytes`, {gateway['gateway_buffer_bytes'] // mb} MB",
    ):
        assert sum(figure in row for row in rows) == 1, figure
