"""A picture on a terminal whose encoding lacks some of our signs: each is replaced by one of the same width, so that no
row becomes longer than the terminal."""

from typing import TYPE_CHECKING

from astica_sync.cli.render.text import printed

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

_SIGNS = str.maketrans("●…·━╸╺", "*.-===")


class InEncoding:
    """The picture with the signs that standard output can print."""

    def __init__(self, content: "RenderableType") -> None:
        self._content = content

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.segment import Segment

        for segment in console.render(self._content, options):
            if segment.control or printed(segment.text) == segment.text:
                yield segment
            else:
                yield Segment(printed(segment.text.translate(_SIGNS)), segment.style)
