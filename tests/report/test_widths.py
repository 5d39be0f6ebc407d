"""No line of a story is wider than 80 columns, whatever the names, and on any encoding."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from fitwell.records import (
    CureRecord,
    Curves,
    Diagnosis,
    Quantity,
    Row,
    StudyRecord,
    Trace,
    WatchedModel,
    WatchedProgram,
)
from fitwell.report.sparklines import (
    BLOCKS,
    SIGNS,
    Sparks,
    gradient_sparks,
    run_sparks,
    trace_sparks,
)
from fitwell.report.terminal import cure_story, diagnosis_story, files_written, study_story
from fitwell.report.watched import watched_story
from fitwell.words import LANGUAGES, speaking

NAMES = [
    "encoder.layers.11.self_attention." * 5 + "weight",
    "은닉층과출력층사이의" * 12,
    "한 층 " * 40,
]


def printed(story: RenderableType, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    Console(file=file, width=80, markup=False, emoji=False, highlight=False).print(story)
    file.seek(0)
    return file.read()


def trace_of(*layers: str) -> Trace:
    rows = [
        Row(step, Quantity.GRADIENT_NORM, 10.0**place, layer)
        for step in range(4)
        for place, layer in enumerate(layers)
    ]
    for step, loss in enumerate((1.0, 0.5, 0.25, 0.125)):
        rows += [
            Row(step, Quantity.LOSS, loss),
            Row(step, Quantity.LOSS, 1.0 + step, phase="validation"),
        ]
    return Trace(rows)


@pytest.fixture(params=NAMES, ids=["latin", "korean", "with blanks"])
def stories(
    request: pytest.FixtureRequest, cured: CureRecord, proof: StudyRecord
) -> list[tuple[Any, ...]]:
    name = request.param
    findings = tuple(
        replace(f, layers=(name,) * 6, explanation=f"{name} {f.explanation}", advice=name)
        for f in cured.diagnosis
    )
    diagnosis = Diagnosis(findings, (f"{name}: not seen.",))
    task = replace(cured.task, name=name, description=name, network=name, notes=(name,))
    arms = tuple(replace(arm, name=name) for arm in proof.arms)
    study = replace(proof, task=task, arms=arms)
    trace = trace_of(name, "out")
    record = replace(cured, task=task, diagnosis=diagnosis, proof=study, trace=trace, notes=(name,))
    model = WatchedModel(name, name, 10, name, 4, diagnosis, trace=trace)
    return [
        (cure_story, record),
        (study_story, study),
        (diagnosis_story, task, diagnosis, trace),
        (watched_story, WatchedProgram(name, 0, (model,))),
        (files_written, name),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_is_wider_than_eighty_columns(
    stories: list[tuple[Any, ...]], language: str
) -> None:
    for make, *arguments in stories:
        with speaking(language):
            lines = printed(make(*arguments)).splitlines()
        assert max(map(cell_len, lines)) <= 80, make


def test_the_story_of_a_check_draws_the_gap_and_the_gradient_by_layer(cured: CureRecord) -> None:
    text = printed(diagnosis_story(cured.task, cured.diagnosis, trace_of("a", "b", "c")))
    assert "gap of the two losses  ▁▄▆█  0 to 3.88" in text
    assert "gradient by layer      ▁▅█" in text


def test_where_blocks_cannot_be_written_signs_stand_for_them(cured: CureRecord) -> None:
    text = printed(Sparks(tuple(trace_sparks(trace_of("a", "b")))), "ascii")
    assert not set(BLOCKS) & set(text)
    assert f"{SIGNS[0]}{SIGNS[-1]}" in text
    assert "?" not in text


def test_the_gap_of_an_evaluation_is_that_of_the_training_since_the_one_before() -> None:
    rows = [Row(step, Quantity.LOSS, float(step)) for step in range(4)]
    rows += [Row(step, Quantity.LOSS, 5.0, phase="validation") for step in (1, 3)]
    (gap,) = trace_sparks(Trace(rows))
    assert gap.values == (4.5, 2.5)


def test_the_course_of_an_arm_ends_with_its_gap(cured: CureRecord) -> None:
    run = replace(cured.baseline[0], curves=Curves((1.0, 0.5), (1.5, 2.0)))
    train, validation, gap = run_sparks([run])
    assert (train.values, validation.values, gap.values) == ((1.0, 0.5), (1.5, 2.0), (0.5, 1.5))
    assert validation.said == "1.5 to 2, lowest 1.5 (epoch 1)"


def test_a_layer_whose_gradient_was_never_finite_is_a_gap_in_the_curve() -> None:
    rows = [Row(0, Quantity.GRADIENT_NORM, v, n) for n, v in (("a", 1.0), ("b", float("nan")))]
    (line,) = gradient_sparks(Trace([*rows, Row(0, Quantity.GRADIENT_NORM, 4.0, "c")]))
    assert [value == value for value in line.values] == [True, False, True]
