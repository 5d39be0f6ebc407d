from __future__ import annotations

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from fitwell.records import (
    CureRecord,
    Diagnosis,
    LearningCurve,
    RemedySpec,
    StudyRecord,
    WatchedModel,
    WatchedProgram,
)
from fitwell.report.markdown import (
    cure_markdown,
    diagnosis_markdown,
    study_markdown,
    watched_markdown,
)

HOSTILE = "`|<img src=x onerror=alert(1)> [a](http://x.y) | ``` </details> @all\n# b"
READER = MarkdownIt("commonmark", {"html": True}).enable("table")


def tags(text: str) -> list[str]:
    return re.findall(r"</?\w+", READER.render(text))


def columns(text: str) -> list[set[int]]:
    """Of every table, the numbers of cells that its rows have."""
    tables = re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE)
    return [{len(re.findall(r"(?<!\\)\|", row)) for row in t.splitlines()} for t in tables]


def test_a_cure_is_told_from_the_verdict_to_the_command(
    cured: CureRecord, curve: LearningCurve
) -> None:
    text = cure_markdown(replace(cured, learning_curve=curve))
    assert text.startswith("## mnist-small\n\n**+4.9 points**: Cured: accuracy on test rises from")
    heads = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert heads == [
        "What was wrong",
        "The arms",
        "The recipe",
        "Would more data help?",
        "What did not help",
        "What could not be judged",
        "How to reproduce",
    ]
    assert "```sh\nfitwell cure mnist-small --budget 2min\n```" in text
    assert (
        "| treated | 90.9 % | +4.9 points | +4.4 to +5.4 points | p \\< 0.001 | **helps** | 0 / 8 |"
        in text
    )
    assert "| `BatchNorm` | normalises" in text
    assert "- Seeds: 1000–1007." in text
    assert "torch 2.13.0" in text
    assert all(len(numbers) == 1 for numbers in columns(text))


def test_what_did_not_help_holds_neither_the_recipe_nor_the_untreated_network(
    cured: CureRecord,
) -> None:
    text = cure_markdown(cured).partition("### What did not help")[2].partition("###")[0]
    assert "the interval touches zero: `BatchNorm`\n" in text
    assert "<summary>16 recipes fell behind on validation data</summary>" in text
    assert text.count("\n| ") == 1 + 12
    assert "Augment" not in text


@pytest.mark.parametrize("name", ["unproven", "healthy"])
def test_without_a_proven_recipe_that_is_said(name: str, request: pytest.FixtureRequest) -> None:
    text = cure_markdown(request.getfixturevalue(name))
    assert "**0 points**: " in text
    assert "The recipe is empty: nothing was proven to help." in text


def test_a_comparison_names_the_recipe_of_every_arm(proof: StudyRecord) -> None:
    text = study_markdown(proof)
    assert "**+4.9 points**: treated helps" in text
    assert "- treated: `BatchNorm` + `Dropout(p=0.5)` + `Augment(strength=1)`" in text


def test_a_diagnosis_lists_the_root_first_and_what_follows_from_it(diagnosis: Diagnosis) -> None:
    text = diagnosis_markdown(diagnosis, "a run", notes=("Rows were dropped.",))
    assert text.index("| **Bad initialization** | mild |") < text.index(
        "| ↳ Overfitting | severe |"
    )
    assert "- Underfitting: the trace holds no chance loss." in text
    assert "- Rows were dropped." in text


def test_a_watched_program_has_a_section_a_network(diagnosis: Diagnosis) -> None:
    sick = WatchedModel("netD", "Net", 10, "Adam", 5, diagnosis)
    well = WatchedModel("netG", "Net", 10, "Adam", 7, Diagnosis())
    text = watched_markdown(WatchedProgram("train.py", 0, (sick, well)))
    assert text.index("## train.py") < text.index("### netD") < text.index("### netG")
    assert "Net, 10 parameters; 7 steps of Adam" in text
    assert "No network was seen to train" in watched_markdown(WatchedProgram("x.py", 0, ()))


def test_no_name_becomes_markup(cured: CureRecord) -> None:
    def named(text: str) -> str:
        finding = replace(
            cured.diagnosis.findings[0],
            layers=(text,) * 2,
            explanation=text,
            advice=text,
            evidence={text: 1.0},
            remedies=(RemedySpec(text, {"x": text}),),
        )
        assert cured.proof is not None
        untreated, treated = cured.proof.arms
        assert treated.verdict is not None
        arm = replace(treated, name=text, verdict=replace(treated.verdict, arm=text))
        task = replace(cured.task, name=text, description=text, network=text, notes=(text,))
        study = replace(cured.proof, arms=(untreated, arm), task=task)
        record = replace(
            cured,
            task=task,
            diagnosis=Diagnosis((finding,), (text,)),
            recipe=(RemedySpec(text),),
            proof=study,
            notes=(text,),
            command=text,
            versions={text: text},
        )
        return cure_markdown(record) + study_markdown(study)

    assert tags(named(HOSTILE)) == tags(named("plain"))
    assert columns(named(HOSTILE)) == columns(named("plain"))
