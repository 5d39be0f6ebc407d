from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape

import pytest

from fitwell.claims import Claim
from fitwell.records import ClaimRecord, claims_to_dict
from fitwell.report.claims_page import claims_page, formula_markup
from fitwell.report.claims_story import claims_markdown
from fitwell.report.claims_wording import About

ABOUT = About("fitwell learn made-up", {"torch": "2.13"}, "2026-11-30")
HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>"


@pytest.fixture
def record(claim: Claim) -> ClaimRecord:
    return replace(claim, formula=r"\frac{a}{b} < c").run()


def without_scripts(html: str) -> str:
    return re.sub(r"<(script|style).*?</\1>", " ", html, flags=re.S)


def text_of(html: str) -> str:
    body = without_scripts(html.partition("<main>")[2])
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_a_page_tells_the_tally_and_then_every_claim(record: ClaimRecord) -> None:
    lost = replace(
        record,
        number=11,
        name="lost",
        answers=(replace(record.answers[0], outcome="reversed"),),
    )
    text = text_of(claims_page([record, lost], ABOUT))
    assert "1 of 2 supported Of 2 claims, 1 supported, 0 not supported, 1 reversed." in text
    assert "10 A made-up claim ✓ supported 11 A made-up claim ✗ reversed" in text
    assert "dose of 0.5 larger than plain" in text
    assert "(95 % interval" in text.replace("\u00a0", " ")
    assert "fitwell learn made-up torch 2.13" in text


def test_what_belongs_to_a_claim_comes_in_the_order_of_its_story(record: ClaimRecord) -> None:
    text = text_of(claims_page([record], ABOUT))
    parts = (
        "Supported: the experiment", "Does it hold?", "Curves", "Images", "The evidence: score",
        "Because it was made so.", "nn.Identity()", "keras.layers.Identity()",
        "Run it yourself: fitwell learn made-up",
    )  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_every_figure_of_a_page_has_its_own_name_and_data(record: ClaimRecord) -> None:
    html = claims_page([record], ABOUT)
    wanted = re.findall(r'data-spec="([^"]+)"', html)
    found = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', html, re.S)
    assert wanted == [name for name, _ in found]
    assert len(set(wanted)) == len(wanted) == 10
    assert all(json.loads(spec)["datasets"]["drawn"] for _, spec in found)


def test_a_formula_is_drawn_by_the_browser_without_a_script(record: ClaimRecord) -> None:
    assert "<math" in formula_markup(r"\frac{a}{b}")
    assert "<mfrac>" in claims_page([record], ABOUT)


def test_texts_of_a_claim_are_shown_and_never_obeyed(record: ClaimRecord) -> None:
    hostile = replace(
        record,
        title=HOSTILE, question=HOSTILE, data=HOSTILE, explanation=HOSTILE, torch=HOSTILE,
    )  # fmt: skip
    html = claims_page([hostile], replace(ABOUT, command=HOSTILE))
    assert "<img" not in without_scripts(html)
    assert html.count("<script>") == claims_page([record], ABOUT).count("<script>")
    assert text_of(html).count("alert('x')") > 5


def test_a_page_asks_nothing_of_a_network(record: ClaimRecord) -> None:
    html = claims_page([record], ABOUT)
    assert "default-src 'none'" in html
    html = without_scripts(html)
    assert set(re.findall(r'href="([^"]*)"', html)) == {"data:,", "#made-up"}
    assert " src=" not in html


def test_the_table_of_a_document_has_one_row_a_claim(record: ClaimRecord) -> None:
    lines = claims_markdown([replace(record, title="a | b")], ABOUT).splitlines()
    rows = [line for line in lines if line.startswith("| 10 ")]
    assert len(rows) == 1
    assert rows[0].count(" | ") == 5
    assert "✓ supported" in rows[0]
    assert "`fitwell learn made-up`" in rows[0]


def test_the_data_of_claims_tells_every_seed_and_how_many_came_to_what(record: ClaimRecord) -> None:
    data = json.loads(json.dumps(claims_to_dict([record])))
    assert (data["schema"], data["supported"], data["not_supported"], data["reversed"]) == (
        *(1, 1, 0, 0),
    )
    (claim,) = data["claims"]
    assert claim["measured"]["score"]["plain"] == [float(seed) for seed in range(8)]
    assert claim["answers"][0]["effect"]["mean"] == pytest.approx(1.05)
    assert set(claim["answers"][0]) == {"expected", "measure", "outcome", "effect"}
