from __future__ import annotations

import math
from dataclasses import replace

from fitwell.records import (
    ArmRecord,
    Curves,
    RunRecord,
    Score,
    StudyRecord,
    TaskRecord,
    Trial,
)
from fitwell.report.series import band, best_trials, paired_differences


def _with_curves(
    run: RunRecord, train: tuple[float, ...], validation: tuple[float, ...]
) -> RunRecord:
    return replace(run, curves=Curves(train, validation), best_epoch=len(validation) - 1)


def test_a_band_holds_mean_and_range_of_each_epoch(proof: StudyRecord) -> None:
    run = proof.arms[0].runs[0]
    drawn = band(
        [_with_curves(run, (4.0, 2.0), (5.0, 3.0)), _with_curves(run, (2.0, 1.0), (3.0, 4.0))]
    )
    assert [(p.epoch, p.mean, p.low, p.high) for p in drawn.train] == [(1, 3, 2, 4), (2, 1.5, 1, 2)]
    assert drawn.gap == 2.0
    assert drawn.kept == 2


def test_a_band_ends_where_fewer_than_half_of_the_runs_went_on(proof: StudyRecord) -> None:
    run = proof.arms[0].runs[0]
    long, short = _with_curves(run, (3.0, 2.0, 1.0), (3.0,) * 3), _with_curves(run, (3.0,), (3.0,))
    assert [point.epoch for point in band([long, short, short]).train] == [1]
    assert [point.epoch for point in band([long, short]).train] == [1, 2, 3]


def test_a_band_leaves_out_values_that_are_not_finite(proof: StudyRecord) -> None:
    run = proof.arms[0].runs[0]
    lost = replace(_with_curves(run, (math.nan, math.inf), (1.0, 1.0)), diverged=True)
    drawn = band([lost])
    assert drawn.train == ()
    assert (drawn.gap, drawn.diverged, drawn.runs) == (None, 1, 1)


def test_no_runs_make_an_empty_band() -> None:
    drawn = band([])
    assert (drawn.train, drawn.kept, drawn.gap) == ((), None, None)


def test_differences_are_paired_by_seed_and_positive_where_better(
    proof: StudyRecord, task: TaskRecord
) -> None:
    untreated, treated = proof.arms
    before = {run.seed: run.test.metric for run in untreated.runs if run.test}
    turned = replace(treated, runs=tuple(reversed(treated.runs)))
    expected = [run.test.metric - before[run.seed] for run in turned.runs if run.test]
    assert paired_differences(untreated, turned, task) == expected
    smaller = replace(task, higher_is_better=False)
    assert paired_differences(untreated, turned, smaller) == [-value for value in expected]


def test_a_seed_without_its_partner_makes_no_difference(
    proof: StudyRecord, task: TaskRecord
) -> None:
    untreated, treated = proof.arms
    alone = ArmRecord("treated", (), 1.0, (replace(treated.runs[0], seed=1),))
    assert paired_differences(untreated, alone, task) == []


def test_trials_kept_for_more_seeds_come_first_then_the_better_metric(task: TaskRecord) -> None:
    trials = [
        Trial((), rate, Score(metric, 0.1), seeds)
        for rate, metric, seeds in [(1, 0.99, 1), (2, 0.8, 5), (3, 0.9, 5), (4, math.nan, 5)]
    ]
    assert [trial.rate for trial in best_trials(task, trials)] == [3, 2, 1, 4]
    smaller = replace(task, higher_is_better=False)
    assert [trial.rate for trial in best_trials(smaller, trials)] == [2, 3, 1, 4]
