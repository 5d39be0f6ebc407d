"""Figures of one run, from traces whose answer is known."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from fitwell.records import Diagnosis, Facts, Finding, LayerFact, Quantity, Row, Trace
from fitwell.report.charts import (
    Figure,
    course_figure,
    dead_figure,
    gradient_figure,
    nothing_silent,
    saturated_figure,
    update_figure,
)
from fitwell.report.charts.course import gap_between, readings


def trace_of(quantity: Quantity, *rows: tuple[int, str, float], phase: str = "train") -> Trace:
    return Trace([Row(step, quantity, value, layer, phase) for step, layer, value in rows])


def drawn(figure: Figure | None) -> list[dict[str, str]]:
    assert figure is not None
    return list(csv.DictReader(StringIO(figure.panels[0].csv)))


def sick(condition: str, *layers: str, since: int | None = None) -> Diagnosis:
    return Diagnosis((Finding(condition, "severe", 0.9, layers, since, {}, "It is so."),))


def test_dead_units_are_drawn_with_their_finding_outlined_from_the_step_it_began_at() -> None:
    shares = [(step, layer, 0.5 if layer == "b" else 0.0) for step in (0, 10) for layer in "ab"]
    trace = trace_of(Quantity.DEAD_SHARE, *shares)
    figure = dead_figure(trace, sick("dead_units", "b", since=10))
    assert {(r["layer"], r["step"], r["value"]) for r in drawn(figure)} == {
        ("a", "0", "0.0"), ("b", "0", "0.5"), ("a", "10", "0.0"), ("b", "10", "0.5"),
    }  # fmt: skip
    assert figure is not None
    boxes = [layer for layer in figure.panels[0].spec["layer"] if layer["mark"]["type"] == "rect"]
    (outline,) = boxes[-1]["data"]["values"]
    assert (outline["top"], outline["bottom"], outline["left"], outline["right"]) == (
        "b",
        "b",
        1,
        1,
    )
    assert outline["name"] == "Dead units"


def test_a_finding_of_another_kind_is_not_outlined() -> None:
    trace = trace_of(Quantity.GRADIENT_NORM, (0, "a", 1.0))
    figure = gradient_figure(trace, sick("dead_units", "a"))
    assert figure is not None
    assert "outline" not in figure.caption
    assert "outline" in gradient_figure(trace, sick("vanishing_gradients", "a")).caption  # type: ignore[union-attr]


def test_where_no_unit_was_ever_dead_one_sentence_says_so() -> None:
    trace = trace_of(Quantity.DEAD_SHARE, (0, "a", 0.0), (0, "b", 0.0))
    assert dead_figure(trace, Diagnosis()) is None
    assert nothing_silent(trace) == ("No unit of the 2 layers with a ReLU was dead.",)
    assert saturated_figure(trace, Diagnosis()) is None
    assert nothing_silent(Trace()) == ()


def test_an_update_is_drawn_as_a_share_of_the_weights_that_it_changes() -> None:
    rows = [
        Row(0, Quantity.WEIGHT_NORM, 4.0, "a"),
        Row(0, Quantity.UPDATE_NORM, 0.01, "a"),
        Row(1, Quantity.WEIGHT_NORM, 5.0, "a"),
        Row(1, Quantity.UPDATE_NORM, 0.05, "a"),
        Row(0, Quantity.WEIGHT_NORM, 1.0, "still"),
        Row(0, Quantity.UPDATE_NORM, 0.0, "still"),
    ]
    figure = update_figure(Trace(rows))
    assert [(r["layer"], r["step"], float(r["ratio"])) for r in drawn(figure)] == [
        ("a", "0", 0.0025),
        ("a", "1", 0.01),
    ]
    assert figure is not None
    assert "No line is there for still" in figure.caption


def test_of_many_layers_twelve_are_drawn_the_first_and_the_last_among_them() -> None:
    names = [f"l{place}" for place in range(300)]
    rows = [Row(0, q, 1.0, n) for n in names for q in (Quantity.WEIGHT_NORM, Quantity.UPDATE_NORM)]
    facts = Facts(tuple(LayerFact(n, "Linear", "hidden", i) for i, n in enumerate(names)))
    figure = update_figure(Trace(rows, facts))
    layers = [row["layer"] for row in drawn(figure)]
    assert (len(layers), layers[0], layers[-1]) == (12, "l0", "l299")
    assert figure is not None
    assert "12 of 300 layers are drawn" in figure.caption


def test_a_run_without_updates_has_no_figure_of_them() -> None:
    assert update_figure(Trace()) is None


def test_a_straight_course_has_no_noise_and_a_jagged_one_its_own() -> None:
    straight = readings([(step, 10.0 - step) for step in range(8)])
    assert all(point.low == pytest.approx(point.mean) for point in straight)
    jagged = readings([(step, step % 2) for step in range(8)])
    # Second differences are 2 in size: 2 / sqrt(6) a reading, twice that on either side.
    assert jagged[3].high - jagged[3].mean == pytest.approx(2 * 2 / 6**0.5)


def test_the_gap_stands_where_validation_was_read() -> None:
    train = readings([(0, 3.0), (5, 1.0), (9, 0.5)])
    validation = readings([(4, 3.5), (9, 2.0)])
    assert gap_between(train, validation) == [(4, 3.0, 3.5), (9, 0.5, 2.0)]


def test_losses_of_a_run_are_drawn_with_the_gap_at_its_end() -> None:
    rows = [Row(step, Quantity.LOSS, 1.0 - step / 10) for step in (0, 5)]
    rows += [Row(step, Quantity.LOSS, 1.0, phase="validation") for step in (0, 5)]
    figure = course_figure(Trace(rows))
    assert [(r["curve"], r["step"], r["loss"]) for r in drawn(figure)] == [
        ("training", "0", "1.0"), ("training", "5", "0.5"),
        ("validation", "0", "1.0"), ("validation", "5", "1.0"),
    ]  # fmt: skip
    assert figure is not None
    assert figure.panels[0].heading == "the untreated network: gap at the end 0.5"
    assert course_figure(Trace(rows[:1])) is None
