"""Histograms of weights, and what a report ends with."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO

from fitwell.records import ArmWeights, CureRecord, LayerWeights, RemedySpec, Score, Trial
from fitwell.report.afterword import again_lines, unhelpful_lines
from fitwell.report.charts import weights_figure
from fitwell.report.html import cure_page

SPARSE = ArmWeights(
    "cured",
    3,
    (-1.0, 0.0, 1.0),
    (LayerWeights("a", 10, 4, (5, 1), 0.5), LayerWeights("b", 3, 1, (0, 2), 0.25)),
)


def test_exact_zeros_are_counted_and_drawn_apart_from_the_bins() -> None:
    assert (SPARSE.total, SPARSE.zeros, SPARSE.counts) == (13, 5, (5, 3))
    figure = weights_figure([SPARSE])
    assert figure is not None
    rows = list(csv.DictReader(StringIO(figure.panels[0].csv)))
    assert [(row["what"], row["low"], row["weights"]) for row in rows] == [
        ("bin", "-1.0", "5"),
        ("bin", "0.0", "3"),
        ("exactly zero", "0.0", "5"),
    ]
    assert figure.panels[0].heading == "cured, seed 3: 5 of 13 exactly zero"
    assert figure.data.rows[0] == ("cured", "a", "10", "4", "0.5")


def test_a_cure_without_weights_draws_none(cured: CureRecord) -> None:
    assert weights_figure(()) is None
    assert 'id="weights-1"' not in cure_page(cured)
    assert 'id="weights-1"' in cure_page(replace(cured, weights=(SPARSE,)))


def test_a_remedy_that_never_beat_the_untreated_network_is_named(cured: CureRecord) -> None:
    l1, l2 = RemedySpec("L1"), RemedySpec("L2")
    trials = (
        Trial((), 1.0, Score(0.8, 1.0), 1),
        Trial((l1,), 1.0, Score(0.7, 1.0), 1),
        Trial((l1, l2), 1.0, Score(0.75, 1.0), 1),
        Trial((l2,), 1.0, Score(0.9, 1.0), 1),
    )
    lines = unhelpful_lines(replace(cured, trials=trials))
    assert lines == (
        "L1: accuracy 75.0 % on validation at its best, in L1 + L2; untreated 80.0 %.",
    )
    assert unhelpful_lines(replace(cured, trials=trials[1:])) == ()


def test_seeds_are_told_in_spans() -> None:
    assert again_lines(seeds=(3, 0, 1, 2, 7)) == ("Seeds: 0\u20133, 7.",)
    assert again_lines() == ()
