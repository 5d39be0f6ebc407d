"""How a record shows itself in a notebook: what draws it stands above, and registers here."""

from __future__ import annotations

from functools import singledispatch
from html import escape


@singledispatch
def html_of(record: object) -> str:
    """Return a record as HTML; as its plain text where nothing has registered to draw its kind."""
    return f"<pre>{escape(str(record))}</pre>"


@singledispatch
def markdown_of(record: object) -> str:
    """Return a record as Markdown; as its plain text where nothing has registered."""
    return f"```\n{str(record).replace('```', '')}\n```"
