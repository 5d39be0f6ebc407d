"""The page of claims: every one with its pictures, its evidence, its formula and its code."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from fitwell.errors import require
from fitwell.records import ClaimRecord
from fitwell.report.claims_wording import (
    MARKS,
    About,
    answer_sentence,
    outcome_words,
    tally,
    tally_sentence,
    verdict_sentence,
)
from fitwell.report.figures import claim_figures
from fitwell.report.html import asset, page
from fitwell.report.numbers import duration
from fitwell.report.wording import Headline, Tone
from fitwell.words import say, say_many, told


def claims_page(records: Sequence[ClaimRecord], about: About) -> str:
    """Return the claims that were put to the test as one HTML file.

    Args:
        records: The claims, in the order of the page.
        about: How it was made.

    Raises:
        MissingExtra: If altair, vl-convert or latex2mathml is not installed.
    """
    return page(
        "learn.html.j2",
        kind=say("claims as experiments"),
        title=say_many("{number} claim", "{number} claims", len(records)),
        headline=_headline(records),
        facts=[
            (f"{MARKS[outcome]} {outcome_words(outcome)}", str(number))
            for outcome, number in tally(records).items()
        ]
        + [
            (say("made"), about.made),
            (say("measured in"), duration(sum(record.seconds for record in records))),
        ],
        claims=[_claim(record) for record in records],
        command=about.command,
        versions=about.versions,
        copying=asset("copying.js"),
        rules=asset("learn.css"),
    )


def formula_markup(latex: str) -> Markup:
    """Return a formula as MathML, which browsers draw without a script.

    Args:
        latex: The formula, out of the code of a claim.
    """
    converter = require("latex2mathml.converter")
    return Markup(converter.convert(latex, display="block"))  # noqa: S704


def _headline(records: Sequence[ClaimRecord]) -> Headline:
    supported = tally(records)["supported"]
    number = say("{supported} of {claims} supported", supported=supported, claims=len(records))
    tone: Tone = "good" if supported == len(records) else "neutral"
    return Headline(number, tally_sentence(records), tone)


def _claim(record: ClaimRecord) -> dict[str, object]:
    """Return what the page shows of a claim."""
    arms = list(dict.fromkeys(a for one in record.measured.values.values() for a in one))
    return {
        "number": record.number,
        "name": record.name,
        "title": told(record.title),
        "outcome": record.outcome,
        "mark": MARKS[record.outcome],
        "word": outcome_words(record.outcome),
        "verdict": verdict_sentence(record),
        "answers": [answer_sentence(answer) for answer in record.answers],
        "question": told(record.question),
        "facts": [
            (say("measured on"), told(record.data)),
            (say("compared"), ", ".join(map(told, arms))),
            (say("measure"), "; ".join(map(told, record.measured.values))),
            (say("seeds"), str(len(record.seeds))),
            (say("time"), duration(record.seconds)),
        ],
        "figures": claim_figures(record),
        "formula": formula_markup(record.formula) if record.formula else "",
        "latex": record.formula,
        "explanation": told(record.explanation),
        "code": (("PyTorch", record.torch), ("Keras 3", record.keras)),
    }
