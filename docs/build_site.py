"""Builds the site of the documents: `python docs/build_site.py` writes it to `.cache/site`.

The pages and the files that they link are copied into a folder, where they have the places that
they have here, so a link is the same on GitHub and on the site. A link to a page, a file or a
heading that does not exist fails the build. The table of documents in the README is the navigation:
a path for each kind of reader.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from mkdocs.__main__ import cli

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / ".cache" / "site-source"
SITE = ROOT / ".cache" / "site"
PAGES = ["README.md", "DESIGN.md", "CONTRIBUTING.md", "CHANGELOG.md"]
LINK = re.compile(r"(?<!\!)\[([^\]]*)\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")
ANY_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


def copy_pages() -> None:
    """Copy all pages, the files that they link, and the script for the search."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    copy(ROOT / "docs" / "iframe-worker.js")
    for page in [*(ROOT / name for name in PAGES), *(ROOT / "docs").rglob("*.md")]:
        copy(page)
        for target in ANY_LINK.findall(page.read_text(encoding="utf-8")):
            linked = (page.parent / target).resolve()
            if linked.is_dir():
                write_index(linked)
            elif linked.is_file() and linked.suffix != ".md":
                copy(linked)


def copy(path: Path) -> None:
    """Copy a file to the place that it has here."""
    place = SOURCE / path.relative_to(ROOT)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, place)


def write_index(folder: Path) -> None:
    """Write the page of a folder, which lists its pages; GitHub shows the folder itself."""
    lines = [f"- [{title_of(page)}]({page.name})" for page in sorted(folder.glob("*.md"))]
    place = SOURCE / folder.relative_to(ROOT) / "index.md"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"# {folder.name.capitalize()}\n\n" + "\n".join(lines) + "\n")


def title_of(page: Path) -> str:
    """Return the first heading of a page."""
    return page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def point_folders_to_their_index() -> None:
    """Let links to a folder lead to its page; mkdocs knows no folders."""
    for page in SOURCE.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        changed = re.sub(r"(\]\((?!https?:)[^)#\s]*/)\)", r"\1index.md)", text)
        if changed != text:
            page.write_text(changed, encoding="utf-8")


def make_navigation() -> Iterator[dict[str, Any]]:
    """Yield the sections of the navigation: rows of the README's table of documents."""
    yield {"start": "README.md"}
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Documents")[2]
    for reader, pages in re.findall(r"^\| ([\w ]+) \| (\[.*) \|$", table, re.MULTILINE):
        section = [{title: target} for title, target in LINK.findall(pages)]
        if reader == "operators":
            section.append({"runbooks": "docs/runbooks/index.md"})
        yield {reader: section}


def main() -> None:
    copy_pages()
    point_folders_to_their_index()
    config = SOURCE.parent / "mkdocs.yml"
    added = {
        "INHERIT": str(ROOT / "docs" / "mkdocs.yml"),
        "docs_dir": str(SOURCE),
        "site_dir": str(SITE),
        "nav": list(make_navigation()),
    }
    config.write_text(yaml.safe_dump(added, sort_keys=False), encoding="utf-8")
    sys.exit(cli(["build", "--strict", "--quiet", "--config-file", str(config)]))


if __name__ == "__main__":
    main()
