"""Networks averaged: told apart from the remedies, in the terminal and on the page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from fitwell.records import Averaged, CureRecord, Score
from fitwell.report.html import cure_page
from fitwell.report.terminal import cure_story

SENTENCES = (
    "Averaging the 8 untreated networks already trained: accuracy 87.1 %, +1.1 points over one of "
    "them; loss 0.4 instead of 0.5.",
    "Averaging the 8 cured networks already trained: accuracy 91.4 %, +0.5 points over one of "
    "them; loss 0.25 instead of 0.3.",
)


@pytest.fixture
def averaged(cured: CureRecord) -> CureRecord:
    both = (
        Averaged("untreated", 8, Score(0.871, 0.4), Score(0.860, 0.5)),
        Averaged("cured", 8, Score(0.914, 0.25), Score(0.909, 0.3)),
    )
    return replace(cured, averaged=both)


def story(record: CureRecord) -> str:
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        console.print(cure_story(record))
    return " ".join(capture.get().split())


def test_the_story_tells_both_arms_beside_the_proof_and_before_the_verdict(averaged):
    text = story(averaged)
    assert text.index("4 Prove") < text.index(SENTENCES[0]) < text.index(SENTENCES[1])
    assert text.index(SENTENCES[1]) < text.index("5 Verdict")


def test_an_unproven_cure_tells_of_the_untreated_networks(unproven, averaged):
    record = replace(unproven, proof=None, averaged=averaged.averaged[:1])
    assert SENTENCES[0] in story(record)


def test_the_page_has_a_section_of_its_own(averaged):
    page = cure_page(averaged).replace("\u00a0", " ")
    assert "<h2>Networks averaged</h2>" in page
    assert all(sentence in page for sentence in SENTENCES)


def test_without_an_average_nothing_is_said_of_one(cured):
    assert "Networks averaged" not in cure_page(cured)
    assert "Averaging" not in story(cured)
