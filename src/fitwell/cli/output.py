"""What commands print and write: stories on standard output, JSON and pages into files."""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType

from fitwell.errors import OutputError, needs
from fitwell.report.numbers import printable

if TYPE_CHECKING:
    from fitwell.report.charts import Figure
    from fitwell.report.network_svg import NetworkFigure

PIPED_WIDTH = 80
"""Columns of a story that no terminal shows, unless ``COLUMNS`` says otherwise."""


def show(story: RenderableType) -> None:
    """Print a story: in colour on a terminal, as lines without trailing blanks if piped."""
    console = Console(markup=False, highlight=False, emoji=False)
    if console.is_terminal:
        console.print(story)
        return
    width = int(os.environ.get("COLUMNS", "0") or 0) or PIPED_WIDTH
    plain = Console(markup=False, highlight=False, emoji=False, no_color=True, width=width)
    with plain.capture() as capture:
        plain.print(story)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    sys.stdout.write("\n".join([*lines, ""]))


def result(text: str) -> None:
    """Print the one line that ``--quiet`` leaves of a story."""
    sys.stdout.write(f"{printable(text)}\n")


def silent(text: str) -> None:
    """Tell nothing, as ``--quiet`` asks."""


def complain(text: str) -> None:
    """Print a message on standard error, its first line led by the name of the program."""
    first, *rest = text.strip().splitlines() or ["something went wrong"]
    lines = [f"fitwell: {first}", *rest]
    sys.stderr.write("\n".join(printable(line) for line in lines) + "\n")


def remark(text: str) -> None:
    """Print a story on standard error: what stands on standard output is for another program."""
    sys.stderr.write("".join(f"{printable(line)}\n" for line in text.splitlines()))


def writable(*paths: Path | None, beside: Sequence[str] = ()) -> None:
    """Check, before any work is done, that these files can be written.

    Args:
        paths: Where results shall go; None where they shall not.
        beside: What the command reads, as it was given: a file, or ``file.py:name``.

    Raises:
        OutputError: If a folder is missing or may not be written, a path is a folder or a file that
            the command reads, or two results would go into one file.
    """
    read = {file.resolve() for file in map(_file_of, beside) if file.is_file()}
    taken: set[Path] = set()
    for path in paths:
        if path is None:
            continue
        if path.resolve() in read:
            raise OutputError(f"Cannot write {path}: that is what is read; name another file.")
        if path.resolve() in taken and path.is_file() == path.exists():
            raise OutputError(f"Cannot write {path}: two results would go there; name two files.")
        taken.add(path.resolve())
        if path.is_dir():
            raise OutputError(f"Cannot write {path}: it is a folder; name a file in it.")
        if not path.parent.is_dir():
            raise OutputError(f"Cannot write {path}: there is no folder {path.parent}.")
        if path.exists() and not path.is_file():  # a device or pipe: opening it would be heard
            if not os.access(path, os.W_OK):
                raise OutputError(f"Cannot write {path}: no permission.")
            continue
        try:  # what the permissions say does not hold on every file system
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as error:
            raise OutputError(
                f"Cannot write {path}: {error.strerror}; choose another place."
            ) from error


def folder_for(path: Path | None) -> None:
    """Check, before any work is done, that files can be written into a folder, and make it.

    Raises:
        OutputError: If it cannot be made or written into, or is a file.
        MissingExtra: If what draws them is not installed.
    """
    if path is None:
        return
    needs("altair", "vl_convert")
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise OutputError(f"Cannot write into {path}: {error.strerror}; name a folder.") from error


def write_figures(path: Path | None, figures: Mapping[str, Figure | NetworkFigure | None]) -> None:
    """Write figures as PNG and SVG into a folder; nothing if there is no path.

    Raises:
        OutputError: If one cannot be written.
    """
    if path is not None:
        from fitwell.report.export import figure_files

        for name, content in figure_files(figures).items():
            write_bytes(path / name, content)


def _file_of(given: str) -> Path:
    """Return the file of ``file``, or of ``file.py:name``."""
    return Path(given) if Path(given).is_file() else Path(given.rpartition(":")[0])


def write_json(path: Path | None, data: Any) -> None:
    """Write data as JSON, whole or not at all; nothing if there is no path.

    Numbers that JSON cannot hold are spelled out: ``"nan"``, ``"inf"``, ``"-inf"``.

    Raises:
        OutputError: If the file cannot be written.
    """
    if path is not None:
        write_text(path, json.dumps(_spelled(data), indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all; a device or pipe is written straight.

    Raises:
        OutputError: If it cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all; a device or pipe is written straight.

    A file that is there keeps its permissions; of a link, the file that it leads to is written.

    Raises:
        OutputError: If it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        place = path.resolve()
        mode = place.stat().st_mode & 0o777 if place.exists() else 0o644
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            temporary.chmod(mode)
            temporary.replace(place)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror}.") from error


def _spelled(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _spelled(value) for name, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_spelled(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return str(data)
    return data
