"""Options that commands share: what is written where, and how much is said."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from fitwell.words import known_language

Json: TypeAlias = Annotated[
    Path | None, typer.Option("--json", metavar="PATH", help="Write the result as data.")
]
Page: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="PATH", help="Write a report: a page (.html, one file) or .md."
    ),
]
Figures: TypeAlias = Annotated[
    Path | None,
    typer.Option("--figures", metavar="DIR", help="Write every figure as PNG and SVG."),
]
Lang: TypeAlias = Annotated[
    str,
    typer.Option(
        "--lang",
        metavar="LANGUAGE",
        callback=known_language,
        help="Language of stories and reports: en or ko. Data stay English.",
    ),
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print the result in one line, or errors.")
]
