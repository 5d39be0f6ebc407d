"""What every claim comes to when it is measured, as it was when the claims were written down.

``outcomes.json`` holds the outcomes of the ``result.json`` that ``fitwell learn --fresh`` wrote,
and ``docs/learn.md`` is the ``learn.md`` beside it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fitwell.claims import claims
from fitwell.report.claims_page import formula_markup
from fitwell.report.figures import claim_figures

OUTCOMES: dict[str, str] = json.loads(Path(__file__).with_name("outcomes.json").read_text())
TABLE = Path(__file__).parents[2] / "docs" / "learn.md"


def test_every_claim_has_an_outcome_on_record() -> None:
    assert list(OUTCOMES) == [claim.name for claim in claims()]


def test_the_table_of_the_documents_says_the_same() -> None:
    row = re.compile(r"^\| \d+ \| .* \| . ([a-z ]+) \| .* \| `fitwell learn (\S+)` \|$", re.M)
    found = row.findall(TABLE.read_text(encoding="utf-8"))
    assert {name: outcome for outcome, name in found} == OUTCOMES


def test_every_formula_is_understood_whole() -> None:
    for claim in claims():
        assert "\\" not in formula_markup(claim.formula or "x"), claim.name


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTCOMES)
def test_a_claim_measured_anew_comes_to_its_outcome_and_is_drawn(name: str) -> None:
    (claim,) = (claim for claim in claims() if claim.name == name)
    record = claim.run()
    assert record.outcome == OUTCOMES[name]
    assert all(figure and figure.panels for figure in claim_figures(record).values())
