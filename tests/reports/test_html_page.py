import importlib.util
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import DataError
from streamer.printable import printable
from streamer.reports.html_page import (
    Bars,
    Facts,
    Grid,
    Note,
    Section,
    Text,
    draw,
    is_narrow,
    render,
    styled,
    svg,
)
from tests.support.html import read

Figure = pytest.importorskip("matplotlib.figure").Figure


def paint(figure: Any, name: str) -> None:
    axes = figure.subplots()
    axes.plot([1, 3, 2], label=name)
    axes.legend()


def drawn(name: str = "one") -> str:
    with styled():
        figure = Figure(figsize=(3, 2))
        paint(figure, name)
        return svg(figure)


def page_of_everything() -> str:
    return render(
        "A title",
        [
            Section("First", [Text("words"), Note("mind this"), Facts([("windows", "7,352")])]),
            Section(
                "Second",
                [
                    draw(lambda figure: paint(figure, "one"), 2, "a line"),
                    draw(lambda figure: paint(figure, "two"), 2, "another", 3),
                    Grid(["name", "count", "share"], [["a", 12345, 0.25], ["b", 2, float("nan")]]),
                    Grid(["name", ""], [["c", Bars([0, 2, 4])]], folded="All of them"),
                ],
            ),
        ],
        subtitle="about this",
    )


def test_a_page_shows_everything_it_was_given() -> None:
    texts = read(page_of_everything()).texts
    shown = ("A title", "about this", "First", "words", "mind this", "7,352", "windows", "a line")
    for text in (*shown, "another", "one", "12,345", "0.250", "–", "All of them"):
        assert text in texts


def test_a_page_loads_nothing_from_the_network() -> None:
    page = page_of_everything()
    assert "//" not in re.sub(r"<script>.*</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)
    assert "@import" not in page
    assert "url(" not in page.replace("url(#", "")


def test_ids_on_a_page_are_unique_or_repeat_the_same_element() -> None:
    defined: dict[str, set[str]] = {}
    for tag, identity in re.findall(
        r"<((?:\w+)[^>]*?) id=\"([^\"]+)\"[^>]*>", page_of_everything()
    ):
        defined.setdefault(identity, set()).add(tag)
    assert all(len(tags) == 1 for tags in defined.values())


def test_the_same_figure_is_the_same_text() -> None:
    assert drawn() == drawn()
    assert drawn() != drawn("two")


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))))
def test_texts_cannot_break_out_of_their_place(text: str) -> None:
    given = f"<b>{text}</b><script>"
    page = render(
        given,
        [Section(given, [Text(given), Facts([(given, given)]), Grid([given], [[given]])])],
    )
    reader = read(page)
    assert "b" not in reader.tags
    assert reader.tags.count("script") == 1
    assert reader.texts.count(printable(given)) == 9


def test_a_picture_has_the_colours_of_the_page_and_a_background_of_none() -> None:
    picture = drawn()
    assert "var(--ink)" in picture
    assert "var(--accent)" in picture
    assert not re.search("#[0-9a-f]{6}", picture)


def test_a_picture_is_drawn_for_wide_and_for_narrow_screens_and_shares_no_ids() -> None:
    widths = []

    def note_width(figure: Any) -> None:
        widths.append(is_narrow(figure))
        paint(figure, "one")

    picture = draw(note_width, 2, "a line")
    assert widths == [False, True]
    ids = [set(re.findall(r' id="([^"]+)"', each)) for each in (picture.wide, picture.narrow)]
    assert ids[0]
    assert ids[1]
    assert ids[0].isdisjoint(ids[1])


def test_a_histogram_in_a_cell_is_as_high_as_its_largest_count() -> None:
    assert Bars([0, 2, 4]).path == "M0 1V1h1V0.5h1V0h1V1Z"
    assert Bars([0, 0]).path == "M0 1V1h1V1h1V1Z"


def test_the_error_of_a_missing_extra_names_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "streamer.reports.html_page.find_spec",
        lambda name: None if name == "jinja2" else importlib.util.find_spec(name),
    )
    with pytest.raises(DataError, match=r"needs jinja2.*pip install 'streamer\[train\]'"):
        render("title", [])
