"""Pieces of GitHub Markdown in which a name stays a name, whatever it is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from fitwell.report.numbers import printable

JOINER = "\u2060"
"""Shows nothing; behind it ``@name`` and ``#1`` are no link."""


def prose(text: str) -> str:
    """Return a text in which nothing is markup: no HTML, link, code, emphasis or new cell."""
    line = printable(" ".join(text.split()))
    line = re.sub(r"[\\`*<>|\[\]~$&#]", r"\\\g<0>", line)
    line = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", line)
    line = re.sub(r"([@#])(?=\w)", rf"\1{JOINER}", line)
    line = re.sub(r"(?i)\b(https?|ftp|mailto|xmpp)(:)|\b(www)(\.)", _unlinked, line)
    return re.sub(r"^(?=[-+](\s|$)|-[-\s]|=)|^(\d+)(?=[.)](\s|$))", r"\2\\", line)


def code(text: str) -> str:
    """Return a text as code: shown letter by letter, inside a table too."""
    line = printable(" ".join(text.split())).replace("|", "\\|")
    if not line:
        return ""
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def block(text: str, language: str = "") -> str:
    """Return lines of code, as a command."""
    lines = [printable(line) for line in text.splitlines()]
    longest = max((len(found) for line in lines for found in re.findall("`+", line)), default=0)
    fence = "`" * max(3, 1 + longest)
    return "\n".join([f"{fence}{language}", *lines, fence])


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown already, made by :func:`prose` or :func:`code`."""
    head = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def bullets(items: Iterable[str]) -> str:
    """Return a list; its items are Markdown already."""
    return "\n".join(f"- {item}" for item in items)


def folded(summary: str, body: str) -> str:
    """Return a part that opens on a click; both are Markdown already."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def joined(parts: Iterable[str]) -> str:
    """Return paragraphs, tables and lists as one document; empty ones are left out."""
    return "\n\n".join(part for part in parts if part) + "\n"


def _unlinked(found: re.Match[str]) -> str:
    """Return the beginning of an address so that it does not become one."""
    return f"{found[1] or found[3]}\\{found[2] or found[4]}"
