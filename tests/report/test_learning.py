"""The learning curve in words and as a figure."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from fitwell.records import CureRecord, LearningCurve, RowsWorth
from fitwell.report.charts import learning_figure
from fitwell.report.html import cure_page
from fitwell.report.terminal import cure_story
from fitwell.report.wording import curve_sentences


def drawn(curve: LearningCurve, what: str) -> list[dict[str, str]]:
    rows = csv.DictReader(StringIO(learning_figure(curve).panels[0].csv))
    return [row for row in rows if row["what"] == what]


def layers(curve: LearningCurve) -> dict[str, dict[str, Any]]:
    (panel,) = learning_figure(curve).panels
    return {layer["mark"]["style"]: layer for layer in panel.spec["layer"]}


def told(record: CureRecord) -> str:
    console = Console(width=80, no_color=True)
    with console.capture() as capture:
        console.print(cure_story(record))
    return " ".join(capture.get().split())


def test_the_sentences_are_in_per_cent_and_points(curve: LearningCurve) -> None:
    more, instead, checked = curve_sentences(curve)
    assert more == (
        "More data: with twice the rows 88.7 % [87.1 %, 90.0 %] is predicted, with 4 times as "
        "many 90.5 % [88.0 %, 93.0 %] (accuracy on validation is 86.1 % now)."
    )
    assert instead == (
        "Augmentation gives +2.9 points [+2.0, +4.0] at 1.7 times the training time, as 2.2 "
        "times the rows would (at least 1.6)."
    )
    assert checked == (
        "Tried on itself: from at most 250 rows it predicts 86.2 % [85.0 %, 88.0 %] for all 500, "
        "and 86.1 % was measured."
    )


@pytest.mark.parametrize(
    ("worth", "words"),
    [
        (RowsWorth(2.2, 1.6, 3.5), "as 2.2 [1.6, 3.5] times the rows would."),
        (RowsWorth(None, 1.6, None), "as at least 1.6 times the rows would."),
        (RowsWorth(None, None, None), "worth more rows than this curve can tell of."),
        (None, "no gain beyond chance to set against more rows."),
    ],
)
def test_what_augmentation_is_worth_is_said_as_far_as_it_is_known(
    curve: LearningCurve, worth: RowsWorth | None, words: str
) -> None:
    assert curve.augmented is not None
    changed = replace(curve, augmented=replace(curve.augmented, worth=worth))
    assert curve_sentences(changed)[1].endswith(words)


def test_forecasts_that_may_be_no_change_are_called_uncertain(curve: LearningCurve) -> None:
    twice, four = curve.forecasts
    vague, sure = replace(twice, low=0.8), replace(four, low=0.8)
    one = curve_sentences(replace(curve, forecasts=(vague, four)))[0]
    assert one.endswith("twice the rows may change nothing.")
    both = curve_sentences(replace(curve, forecasts=(vague, sure)))[0]
    assert both.startswith("More data: too uncertain to say whether it would help:")


def test_a_back_test_that_missed_warns(curve: LearningCurve) -> None:
    missed = replace(curve.back_test, measured=0.9)
    words = curve_sentences(replace(curve, back_test=missed))[2]
    assert words.endswith("90.0 % was measured, outside of the interval: do not rely on it.")


def test_every_run_is_a_dot_and_every_forecast_a_diamond(curve: LearningCurve) -> None:
    filters = {style: layer.get("transform") for style, layer in layers(curve).items()}
    assert filters["seed"] == [{"filter": "datum.what === 'run'"}]
    assert filters["mean"] == [{"filter": "datum.what === 'forecast'"}]
    assert len(drawn(curve, "run")) == 4 * 3
    assert [row["rows"] for row in drawn(curve, "forecast")] == ["1000", "2000"]
    assert drawn(curve, "forecast")[0]["low"] == "0.871"


def test_the_fitted_and_the_forecast_part_of_the_line_meet_at_all_rows(
    curve: LearningCurve,
) -> None:
    line = drawn(curve, "line")
    parts = {
        name: [row["rows"] for row in line if row["curve"] == name]
        for name in ("fitted", "forecast")
    }
    assert parts == {"fitted": ["62", "125", "250", "500"], "forecast": ["500", "1000", "2000"]}


def test_augmentation_is_a_line_across_only_where_it_was_tried(curve: LearningCurve) -> None:
    (given,) = drawn(curve, "augmented")
    assert float(given["score"]) == pytest.approx(0.89)
    without = replace(curve, augmented=None)
    assert "kept" not in layers(without)
    assert drawn(without, "augmented") == []


def test_the_figure_has_its_numbers_as_a_table(curve: LearningCurve) -> None:
    rows = learning_figure(curve).data.rows
    assert rows[0] == ("62", "measured", "69.6 %", "68.6 % to 70.6 %")
    assert rows[-2] == ("2,000", "forecast", "90.5 %", "88.0 % to 93.0 %")
    assert rows[-1] == ("500", "with augmentation", "89.0 %", "88.0 % to 90.0 %")


def test_an_error_says_which_way_it_points(curve: LearningCurve) -> None:
    error = replace(curve, metric="mae", higher_is_better=False)
    assert "MAE (smaller is better)" in json.dumps(learning_figure(error).panels[0].spec)


def test_a_report_has_the_curve_where_there_is_one(cured: CureRecord, curve: LearningCurve) -> None:
    page = cure_page(replace(cured, learning_curve=curve))
    assert "Would more data help?" in page
    assert 'id="curve-1"' in page
    assert "Would more data help?" not in cure_page(cured)


def test_the_story_tells_the_curve_after_the_verdict(
    cured: CureRecord, curve: LearningCurve
) -> None:
    text = told(replace(cured, learning_curve=curve))
    assert text.index("5 Verdict") < text.index("More data: with twice the rows 88.7 %")
    assert "More data" not in told(cured)
