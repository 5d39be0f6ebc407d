from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from fitwell.records import CureRecord, Diagnosis, Finding, RemedySpec, StudyRecord, TaskRecord
from fitwell.report.sparklines import sparkline
from fitwell.report.tables import arms_table, diagnosis_table, tasks_table
from fitwell.report.terminal import cure_story, files_written, study_story

HOSTILE = "fc[bold red]1[/] \x1b[31m:smile:"


def printed(story: RenderableType, width: int = 80) -> str:
    console = Console(width=width, markup=True, highlight=False, no_color=True)
    with console.capture() as capture:
        console.print(story)
    return capture.get()


def lines(text: str) -> str:
    return " ".join(text.split())


def test_the_story_of_a_cure_goes_from_the_untreated_network_to_the_verdict(
    cured: CureRecord,
) -> None:
    text = printed(cure_story(cured))
    steps = ["1  Train as it is", "2  Diagnose", "3  Search", "4  Prove", "5  Verdict"]
    assert sorted(steps, key=text.index) == steps
    assert "severe  Bad initialization in" in text
    assert "so: Overfitting in the whole network, since step 96" in text
    assert "Augment(strength=1)" in text
    assert "142 runs in 1 min 57 s" in text
    assert "note: 12 duplicate rows" in text


def test_the_verdict_of_the_story_is_the_effect_of_the_record(cured: CureRecord) -> None:
    text = lines(printed(cure_story(cured)))
    assert "5 Verdict +4.9 points Cured: accuracy on test rises from 86.0 % to 90.9 %" in text


@pytest.mark.parametrize("name", ["cured", "unproven", "healthy"])
def test_no_line_of_a_story_is_wider_than_the_terminal(
    name: str, request: pytest.FixtureRequest
) -> None:
    text = printed(cure_story(request.getfixturevalue(name)))
    assert max(map(len, text.splitlines())) <= 80


def test_a_healthy_story_has_neither_search_nor_proof(healthy: CureRecord) -> None:
    text = printed(cure_story(healthy))
    assert "Healthy: nothing was found." in text
    assert "No recipe was tried." in text
    assert "Nothing went into a proof." in text


def test_an_unproven_story_prints_no_recipe(unproven: CureRecord) -> None:
    text = printed(cure_story(unproven))
    assert "no evidence" in text
    assert "The recipe:" not in text


def test_names_out_of_a_run_are_printed_as_they_are_and_steer_nothing(
    cured: CureRecord, diagnosis: Diagnosis
) -> None:
    finding = replace(
        diagnosis.findings[0],
        layers=(HOSTILE,),
        explanation=HOSTILE,
        evidence={HOSTILE: 1.0},
        remedies=(RemedySpec(HOSTILE),),
    )
    record = replace(
        cured,
        task=replace(cured.task, name=HOSTILE, description=HOSTILE, notes=(HOSTILE,)),
        diagnosis=Diagnosis((finding,), (HOSTILE,)),
        recipe=(RemedySpec(HOSTILE, {"x": HOSTILE}),),
    )
    text = printed(cure_story(record), width=300)
    assert "\x1b" not in text
    assert text.count("fc[bold red]1[/] \\x1b[31m:smile:") == 10


def test_arms_show_means_intervals_and_verdicts_and_count_what_diverged(
    proof: StudyRecord, task: TaskRecord
) -> None:
    untreated, treated = proof.arms
    lost = replace(untreated, runs=(replace(untreated.runs[0], diverged=True), *untreated.runs[1:]))
    text = lines(printed(arms_table(task, [lost, treated]), width=120))
    assert "untreated (1 of 8 diverged) 86.0 %" in text
    assert "treated 90.9 % +4.9 points [+4.4 to +5.4] p < 0.001 helps" in text


def test_a_comparison_ends_with_its_verdict(proof: StudyRecord) -> None:
    text = lines(printed(study_story(proof)))
    assert "+4.9 points treated helps: accuracy is better by 4.9 points" in text


def test_evidence_that_is_not_finite_is_said_in_words(diagnosis: Diagnosis) -> None:
    finding = replace(diagnosis.findings[0], evidence={"loss": math.inf})
    assert "evidence: loss infinite" in printed(diagnosis_table(Diagnosis((finding,))))


def test_what_was_not_judged_is_said_of_a_healthy_run_too() -> None:
    text = printed(diagnosis_table(Diagnosis((), ("overfitting: no validation data.",))))
    assert "Healthy: nothing was found." in text
    assert "Not judged: Overfitting: no validation data." in text


def test_tasks_are_listed_with_what_ails_them() -> None:
    row = {"name": "wine", "rows": 1178, "model": "MLP", "ails": "it overfits"}
    assert "wine 1,178 MLP it overfits" in lines(printed(tasks_table([row])))


def test_the_folder_written_to_is_named() -> None:
    assert "Written to fitwell-runs/a[b]/1:" in printed(files_written("fitwell-runs/a[b]/1"))


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0.0, 1.0, 2.0, 7.0], "▁▂▃█"),
        ([3.0, 3.0], "▁▁"),
        ([1.0, math.nan, 2.0], "▁ █"),
        ([math.nan], ""),
        ([], ""),
    ],
)
def test_a_sparkline_goes_from_the_lowest_to_the_highest_block(
    values: list[float], drawn: str
) -> None:
    assert sparkline(values) == drawn


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(2, 40))
def test_a_sparkline_keeps_to_its_width(values: list[float], width: int) -> None:
    assert len(sparkline(values, width)) == min(len(values), width)


def test_one_illness_is_one_block_with_its_chain_its_advice_and_its_root_s_remedies() -> None:
    root = Finding(
        *("loss_output_mismatch", "severe", 0.9, (), None, {"sum": 1.0}, "It is softened twice."),
        advice="Give the loss the logits.", phrase="softmax before the loss",
    )  # fmt: skip
    effect = Finding(
        *("not_learning", "severe", 0.9, (), 7, {"left": 1.0}, "It stays."),
        cause=root, phrase="the loss stays", until=9,
    )  # fmt: skip
    text = lines(printed(diagnosis_table(Diagnosis((root, effect), muted=("dead_units",)))))
    assert text == (
        "severe Loss and output do not fit in the whole network, from the start softmax before "
        "the loss -> the loss stays It is softened twice. change: Give the loss the logits. "
        "evidence: sum 1 so: Not learning in the whole network, from step 7 to 9 It stays. "
        "evidence: left 1 Muted: dead units"
    )
    left = lines(printed(diagnosis_table(Diagnosis((effect,), muted=("loss_output_mismatch",)))))
    assert "explained by loss and output do not fit, muted" in left
