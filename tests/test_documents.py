"""Files, functions and headings that the documents name exist."""

import re
from pathlib import Path

import pytest

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
