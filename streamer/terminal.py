"""The only way to print: what comes from records, files and servers cannot act on the terminal."""

from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from streamer.printable import printable


class _Terminal(Console):
    """A console for which text is text: no markup, no emoji codes, no control characters."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Make text out of what is printed, and of the cells, titles and captions of tables."""
        options |= {"markup": False, "emoji": False, "highlight": False}
        return super().render_str(printable(text, keep="\n"), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Escape what styled text has left; commands of the console itself are not text."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text, keep="\n"), segment.style)


def terminal(*, stderr: bool = False) -> Console:
    """Return a console on standard output or standard error.

    Strings given to it are shown as they are, with what `printable` escapes escaped. Styled text
    is made with `rich.text.Text`, from a string that was made printable: it is escaped otherwise,
    too, but cut off where it needs more space then.
    """
    return _Terminal(stderr=stderr, highlight=False)


def echo(text: str | bytes, *, err: bool = False, newline: bool = True) -> None:
    """Print a line, or several, to standard output or standard error.

    JSON means the same after it: what is escaped is escaped as in JSON.
    """
    words = text if isinstance(text, str) else text.decode()
    click.echo(printable(words, keep="\n"), err=err, nl=newline)
