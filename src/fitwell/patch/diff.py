"""Two texts of a file as a unified diff that ``git apply`` and ``patch -p1`` take."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path


def unified(before: str, after: str, path: Path) -> str:
    """Return the diff; "" where nothing changed.

    Lines end only at line feeds: carriage returns stay in their lines, as both tools have it.

    Args:
        before: The file as it is.
        after: The file as it shall be.
        path: The file; it is named as seen from the working folder, or by its name alone where it
            stands elsewhere.
    """
    here = Path.cwd()
    whole = path.resolve()
    name = whole.relative_to(here).as_posix() if whole.is_relative_to(here) else path.name
    lines = unified_diff(_lines(before), _lines(after), f"a/{name}", f"b/{name}")
    return "".join(_ended(lines))


def _lines(text: str) -> list[str]:
    *whole, last = text.split("\n")
    return [line + "\n" for line in whole] + ([last] if last else [])


def _ended(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
