"""A report as a file: Markdown where the name ends in ``.md``, else one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from fitwell.errors import BadInput
from fitwell.records import Anatomy, CureRecord, Diagnosis, StudyRecord, Trace, WatchedProgram
from fitwell.report.html import cure_page, diagnosis_page, study_page, watched_page
from fitwell.report.markdown import (
    cure_markdown,
    diagnosis_markdown,
    study_markdown,
    watched_markdown,
)

MARKDOWN, PAGE = (".md", ".markdown"), ("", ".html", ".htm")

Told: TypeAlias = CureRecord | StudyRecord | WatchedProgram
"""What a report can be made of; a diagnosis takes more, see :func:`diagnosis_report`."""


def is_markdown(path: str | Path) -> bool:
    """Say whether a report of this name is Markdown; otherwise it is a page.

    Raises:
        BadInput: If the name ends in neither.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (*MARKDOWN, *PAGE):
        raise BadInput(f"A report is a page (.html) or Markdown (.md); got {str(path)!r}.")
    return suffix in MARKDOWN


def report_of(record: Told, path: str | Path, *, command: str = "", lang: str = "en") -> str:
    """Return the content of a report in the form that the name of its file asks for.

    Args:
        record: What is told.
        path: Where the report will be.
        command: What makes a comparison again; a cure knows its own.
        lang: Language to write it in.

    Raises:
        BadInput: If the name ends in neither ``.html`` nor ``.md``, or the language is not known.
        MissingExtra: If it is a page, and altair or vl-convert is not installed.
    """
    written = is_markdown(path)
    if isinstance(record, CureRecord):
        return cure_markdown(record, lang=lang) if written else cure_page(record, lang=lang)
    if isinstance(record, StudyRecord):
        make = study_markdown if written else study_page
        return make(record, command=command, lang=lang)
    return watched_markdown(record, lang=lang) if written else watched_page(record, lang=lang)


def diagnosis_report(
    diagnosis: Diagnosis,
    trace: Trace,
    title: str,
    path: str | Path,
    *,
    notes: tuple[str, ...] = (),
    anatomy: Anatomy | None = None,
    command: str = "",
    fingerprint: str = "",
    lang: str = "en",
) -> str:
    """Return the report of one run under watch, as :func:`report_of` does.

    Args:
        diagnosis: What was found.
        trace: What it was judged on.
        title: Name of the task or run.
        path: Where the report will be.
        notes: What was done to the data before, as sentences.
        anatomy: The network, which a page draws if given.
        command: What makes it again.
        fingerprint: Digest of the data.
        lang: Language to write it in.
    """
    if is_markdown(path):
        return diagnosis_markdown(
            diagnosis, title, notes=notes, command=command, fingerprint=fingerprint, lang=lang
        )
    return diagnosis_page(
        diagnosis,
        trace,
        title,
        notes=notes,
        anatomy=anatomy,
        command=command,
        fingerprint=fingerprint,
        lang=lang,
    )
