"""Reports in Chromium, on a phone and on a desktop, light and dark."""

from pathlib import Path
from typing import Any

import pytest

from streamer.reports.html_page import Grid, Section, Text, draw, render
from tests.support.browser import chromium

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

SMALLEST_PX = 9.8
CONTRAST = 4.5
"""What WCAG 2.1 asks of text at the level AA."""

_LOOK = """
() => {
  const shade = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number)
      .map((each) => each / 255)
      .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const paper = shade(getComputedStyle(document.querySelector("section")).backgroundColor);
  const all = (query) => [...document.querySelectorAll(query)];
  const visible = (query) => all(query).filter((each) => each.checkVisibility());
  const texts = visible("figure svg text");
  const words = visible("p, td, th, figcaption, summary, a");
  return {
    shade: paper,
    pictures: visible("figure svg").length,
    overflow: document.documentElement.scrollWidth - innerWidth,
    scrolled: visible(".scroll").filter((e) => e.scrollWidth > e.clientWidth).length,
    smallest: Math.min(...texts.map((e) => {
      const place = e.getScreenCTM();
      return parseFloat(getComputedStyle(e).fontSize) * Math.hypot(place.a, place.b);
    })),
    contrast: Math.min(
      ...texts.map((e) => contrast(shade(getComputedStyle(e).fill), paper)),
      ...words.map((e) => contrast(shade(getComputedStyle(e).color), paper)),
    ),
  };
}
"""


def paint(figure: Any) -> None:
    axes = figure.subplots()
    axes.plot([1, 3, 2], label="a line")
    axes.set_title("Title")
    axes.legend()


def write_page(path: Path) -> None:
    """Write a page with a picture, and with a table that is wider than a phone."""
    headings = [f"heading{i}" for i in range(8)]
    table = Grid(headings, [[1.5] * 8])
    section = Section("All", [Text("word " * 60), draw(paint, 2, "a line"), table])
    name = "a-device-with-a-long-name-without-any-space/1763906400640"
    path.write_text(render(name, [section]), encoding="utf-8")


async def test_a_page_can_be_read_on_a_phone_and_on_a_desktop_light_and_dark(
    tmp_path: Path,
) -> None:
    path = tmp_path / "page.html"
    write_page(path)
    async with chromium() as browser:
        for width in (390, 1280):
            shades = {}
            for scheme in ("light", "dark"):
                page = await browser.new_page(
                    viewport={"width": width, "height": 800},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                await page.goto(path.as_uri())
                seen = await page.evaluate(_LOOK)
                await page.close()
                assert seen["pictures"] == 1, seen
                assert seen["overflow"] <= 0, seen
                assert seen["smallest"] >= SMALLEST_PX, seen
                assert seen["contrast"] >= CONTRAST, seen
                # The table scrolls in its own box.
                assert seen["scrolled"] == (width == 390), seen
                shades[scheme] = seen["shade"]
            assert shades["light"] > 0.9
            assert shades["dark"] < 0.05
