"""``fitwell learn``: the claims of the craft as experiments, and a page of them."""

from __future__ import annotations

import shlex
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fitwell.cli.output import show, writable, write_json, write_text
from fitwell.cli.progress import TerminalProgress
from fitwell.errors import Interrupted, OutputError, needs
from fitwell.words import speaking

if TYPE_CHECKING:
    from fitwell.records import ClaimRecord

OUT = Path("fitwell-runs/learn")
PAGE, TABLE, RESULT, MEASURED = "learn.html", "learn.md", "result.json", "measured"
"""What the output folder holds; the last is a folder of what was measured, one file a claim."""


def learn(
    claims: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CLAIM]...", help="Names or numbers of claims; all if left out."),
    ] = None,
    known: Annotated[bool, typer.Option("--list", help="List the claims and stop.")] = False,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Output folder; what is measured stays.")
    ] = OUT,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Measure anew what was measured before.")
    ] = False,
    lang: Annotated[
        str, typer.Option("--lang", metavar="LANGUAGE", help="Language of page and story: en, ko.")
    ] = "en",
    json: Annotated[
        Path | None, typer.Option("--json", metavar="PATH", help="Write the result as data.")
    ] = None,
) -> None:
    """Run claims about overfitting and gradients as experiments; write a page of them.

    What was measured is kept in the output folder and taken again until the code, the libraries or
    the seeds change.
    """
    writable(json)
    from fitwell.claims.running import chosen

    asked = chosen(claims or ())
    from fitwell.report.claims_story import (
        claims_list,
        claims_markdown,
        claims_story,
        page_written,
    )

    with speaking(lang):
        listed = claims_list((claim.number, claim.name, claim.title) for claim in asked)
    if known:
        show(listed)
        return
    needs("altair", "vl_convert", "latex2mathml", "joblib", "mlxtend", "sklearn")
    _folder(out)
    from fitwell.claims.keeping import Kept, versions
    from fitwell.claims.running import learn as run
    from fitwell.records import claims_to_dict
    from fitwell.report.claims_page import claims_page
    from fitwell.report.claims_wording import About

    records: list[ClaimRecord] = []
    try:
        with TerminalProgress() as progress:
            records.extend(run(asked, Kept(out / MEASURED), fresh=fresh, progress=progress))
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: {len(records)} of {len(asked)} claims are measured and kept in {out}; "
            "the same command goes on from there."
        ) from None
    records.sort(key=lambda record: record.number)
    command = shlex.join(["fitwell", "learn", *(claims or ())])
    about = About(command, versions(), date.today().isoformat())
    data = claims_to_dict(records)
    with speaking(lang):
        write_text(out / PAGE, claims_page(records, about))
        write_text(out / TABLE, claims_markdown(records, about))
        story = (claims_story(records), page_written(str(out / PAGE)))
    write_json(out / RESULT, data)
    for part in story:
        show(part)
    write_json(json, data)


def _folder(path: Path) -> None:
    """Make the output folder, and check that it can be written, before any work is done.

    Raises:
        OutputError: If it cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write the folder {path}: {error.strerror}.") from error
    writable(*(path / name for name in (PAGE, TABLE, RESULT)))
