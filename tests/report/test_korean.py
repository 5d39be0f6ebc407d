"""Reports and stories in Korean: every sentence of ours is told, at any width."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from fitwell.detectors import DETECTORS
from fitwell.records import CureRecord, Diagnosis, Finding, StudyRecord
from fitwell.report.formats import report_of
from fitwell.report.html import cure_page, diagnosis_page, study_page
from fitwell.report.measures import EVIDENCE
from fitwell.report.terminal import cure_story, study_story
from fitwell.words import say, speaking

from .test_html import Page

ENGLISH = re.compile(r"(?:(?<![\w.=(])[a-z]{2,}[,;:]?[ \n]){2,}[a-z]{2,}(?![\w.(])")
"""Three small English words in a row: a sentence, where names and code have none."""


@pytest.fixture
def korean(cured: CureRecord) -> CureRecord:
    """A cure none of whose own texts is English."""
    told = [
        replace(
            finding,
            explanation=say(
                "{share} of the units of {layer} are dead from the start",
                share="52%",
                layer="fc1",
            ),
            advice=say("Train for more steps.") if finding.advice else "",
            phrase=say("nothing is learned"),
            evidence={"rise": 0.2},
        )
        for finding in cured.diagnosis
    ]
    nothing = {"notes": (), "description": ""}
    task = replace(cured.task, **nothing, network="MLP", classes=())
    runs = [
        replace(arm, runs=tuple(replace(run, took_effect=()) for run in arm.runs))
        for arm in cured.proof.arms
    ]
    return replace(
        cured,
        task=task,
        diagnosis=Diagnosis(tuple(told)),
        proof=replace(cured.proof, task=task, arms=tuple(runs)),
        notes=(),
        versions={},
        command="",
    )


def seen(page: str) -> str:
    """What a reader sees: the text, and what the figures write."""
    read = Page(page)
    return (
        read.text
        + " "
        + str(read.data)
        + " "
        + " ".join(map(str, read.values("div", "aria-label")))
    )


def story(told: RenderableType, width: int) -> str:
    console = Console(width=width, highlight=False, no_color=True)
    with console.capture() as capture:
        console.print(told)
    return capture.get()


def test_a_page_in_korean_has_no_english_sentence_of_ours(korean: CureRecord) -> None:
    page = seen(cure_page(korean, lang="ko"))
    assert ENGLISH.findall(page) == []
    assert "처방 없음" in page
    assert not re.search(r"\b(untreated|cured)\b", page)
    assert not re.search("개개|번번", page)
    assert ENGLISH.search(seen(cure_page(korean)))


def test_a_study_and_a_diagnosis_in_korean_have_none_either(korean: CureRecord) -> None:
    study = study_page(korean.proof, lang="ko")
    diagnosis = diagnosis_page(korean.diagnosis, korean.trace, "digits", lang="ko")
    assert ENGLISH.findall(seen(study)) == []
    assert ENGLISH.findall(seen(diagnosis)) == []


def test_the_markdown_in_korean_has_none_either(korean: CureRecord) -> None:
    assert ENGLISH.findall(html.unescape(report_of(korean, "report.md", lang="ko"))) == []


@pytest.mark.parametrize(("lang", "said"), [("en", "en"), ("ko", "ko")])
def test_a_page_names_its_language(korean: CureRecord, lang: str, said: str) -> None:
    assert Page(cure_page(korean, lang=lang)).values("html", "lang") == [said]


def test_what_was_found_in_english_is_told_in_korean(korean: CureRecord) -> None:
    page = seen(cure_page(korean, lang="ko"))
    assert "처음부터 fc1의 유닛 52%가 죽어 있음" in page
    assert "dead from the start" not in page
    assert "52% of the units of fc1" in str(korean.diagnosis.to_dict())


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_story_in_korean_keeps_to_the_terminal_s_width(korean: CureRecord, width: int) -> None:
    with speaking("ko"):
        text = story(cure_story(korean), width)
    assert ENGLISH.findall(text) == []
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "5  판정" in text


def test_a_comparison_is_told_in_korean(proof: StudyRecord) -> None:
    with speaking("ko"):
        text = " ".join(story(study_story(proof), 80).split())
    assert "도움이 됩니다" in text
    assert "95 % 신뢰 구간" in text


def test_every_number_of_evidence_has_a_name_in_korean() -> None:
    named = {
        name.replace("_", " ")
        for detector in DETECTORS
        for paragraph in (detector.__doc__ or "").split("\n\n")
        if paragraph.strip().startswith("Evidence:")
        for name in re.findall(r"``(\w+)``", paragraph)
    }
    assert len(named) > 50
    assert named <= set(EVIDENCE)


def test_a_finding_says_where_and_since_when_in_korean() -> None:
    found = Finding("dead_units", "mild", 0.9, ("a", "b", "c", "d", "e"), 12, {}, "")
    assert found.place == "in a, b, c and 2 more, since step 12"
    with speaking("ko"):
        assert found.place == "a, b, c 외 2개에서, 스텝 12부터"
