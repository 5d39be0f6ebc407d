"""What a figure of a page is: panels to draw, how to read them, and the same in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, final

Spec: TypeAlias = dict[str, Any]
"""A Vega-Lite specification."""

DRAWN = "drawn"
"""Name of the data set of a specification that holds its numbers as CSV."""


@final
@dataclass(frozen=True)
class Panel:
    """One drawing of a figure, under a heading of its own."""

    heading: str
    spec: Spec

    @property
    def csv(self) -> str:
        """The numbers that it draws, as they are, with a line of names first."""
        text: str = self.spec["datasets"][DRAWN]
        return text


@final
@dataclass(frozen=True)
class Data:
    """The numbers of a figure as a table; every cell is text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@final
@dataclass(frozen=True)
class Figure:
    """A figure of a page.

    Args:
        title: What it shows.
        panels: The drawings, side by side where there is room.
        caption: How to read it.
        alternative: What it shows, in words, for those who do not see it.
        data: The same numbers as a table.
    """

    title: str
    panels: tuple[Panel, ...]
    caption: str
    alternative: str
    data: Data
