"""``fitwell learn``: the claims of the craft as experiments, and a page of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fitwell.cli.options import Figures, Json, Lang, Quiet
from fitwell.cli.output import (
    folder_for,
    result,
    show,
    writable,
    write_figures,
    write_json,
    write_text,
)
from fitwell.cli.places import same_whatever_is_beside
from fitwell.cli.progress import progress_of
from fitwell.errors import Interrupted, OutputError, needs
from fitwell.words import speaking

if TYPE_CHECKING:
    from fitwell.claims import Claim
    from fitwell.records import ClaimRecord
    from fitwell.studies import Progress

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
    json: Json = None,
    figures: Figures = None,
    lang: Lang = "en",
    quiet: Quiet = False,
) -> None:
    """Run claims about overfitting and gradients as experiments; write a page of them.

    What was measured is kept in the output folder and taken again until the code, the libraries or
    the seeds change. The page is of all claims that are kept there.
    """
    same_whatever_is_beside()
    writable(json)
    from fitwell.claims.running import chosen
    from fitwell.records import claims_to_dict
    from fitwell.report.claims_story import claims_list, claims_story, page_written
    from fitwell.report.claims_wording import tally_sentence
    from fitwell.report.figures import claims_figures

    asked = chosen(claims or ())

    with speaking(lang):
        listed = claims_list((claim.number, claim.name, claim.title) for claim in asked)
    if known:
        write_json(json, {"schema": 1, "claims": [_named(claim) for claim in asked]})
        show(listed)
        return
    needs("altair", "vl_convert", "latex2mathml", "joblib", "mlxtend", "sklearn")
    _folder(out)
    folder_for(figures)
    with progress_of(quiet=quiet, lang=lang) as progress:
        records = _measured(asked, out, fresh=fresh, progress=progress)
    with speaking(lang):
        _write(out, records)
        if figures is not None:
            write_figures(figures, claims_figures(records))
        if quiet:
            result(tally_sentence(records))
        else:
            show(claims_story(records))
            show(page_written(str(out / PAGE)))
    write_json(json, claims_to_dict(records))


def _measured(
    asked: Sequence[Claim], out: Path, *, fresh: bool, progress: Progress
) -> list[ClaimRecord]:
    """Measure claims, or take what was kept of them.

    Raises:
        Interrupted: If the user stops it.
    """
    from fitwell.claims.keeping import Kept
    from fitwell.claims.running import learn as run

    records: list[ClaimRecord] = []
    try:
        records.extend(run(asked, Kept(out / MEASURED), fresh=fresh, progress=progress))
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: {len(records)} of {len(asked)} claims are measured and kept in {out}; "
            "the same command goes on from there."
        ) from None
    return sorted(records, key=lambda record: record.number)


def _named(claim: Claim) -> dict[str, object]:
    return {"number": claim.number, "name": claim.name, "title": claim.title}


def _write(out: Path, measured: Sequence[ClaimRecord]) -> None:
    """Write the page, the table and the data of all claims that are kept in the output folder."""
    from fitwell.claims.keeping import Kept, versions
    from fitwell.claims.running import chosen, measured_before
    from fitwell.records import claims_to_dict
    from fitwell.report.claims_page import claims_page
    from fitwell.report.claims_story import claims_markdown
    from fitwell.report.claims_wording import About

    records = [*measured, *measured_before(Kept(out / MEASURED), measured)]
    records.sort(key=lambda record: record.number)
    whole = len(records) == len(chosen(()))
    command = shlex.join(["fitwell", "learn", *([] if whole else [r.name for r in records])])
    about = About(command, versions(), date.today().isoformat())
    write_text(out / PAGE, claims_page(records, about))
    write_text(out / TABLE, claims_markdown(records, about))
    write_json(out / RESULT, claims_to_dict(records))


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
