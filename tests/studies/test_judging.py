from __future__ import annotations

from collections.abc import Sequence

import pytest

from fitwell.records import RowScores, RunRecord, Score
from fitwell.studies.judging import judged, score_step
from fitwell.studies.statistics import (
    minimum_detectable_effect,
    other_rows_effect,
    paired_effect,
    sign_flip_p,
)

BEFORE = [0.80, 0.82, 0.78, 0.80, 0.84, 0.78, 0.80, 0.82]
GAINS = [0.04, 0.06, 0.02, 0.04, 0.06, 0.04, 0.02, 0.04]
AFTER = [before + gain for before, gain in zip(BEFORE, GAINS, strict=True)]


def runs(
    arm: str,
    metrics: Sequence[float],
    *,
    rows: Sequence[Sequence[float]] | None = None,
    diverged: int = 0,
) -> list[RunRecord]:
    return [
        RunRecord(
            arm=arm,
            seed=seed,
            rate=1.0,
            epochs=3,
            best_epoch=2,
            diverged=seed < diverged,
            validation=Score(metric, 1 - metric),
            test=Score(metric, 1 - metric),
            seconds=0.1,
            parameters=10,
            test_rows=RowScores.of(rows[seed], ()) if rows else None,
        )
        for seed, metric in enumerate(metrics)
    ]


def test_the_interval_and_p_of_a_verdict_are_student_s(task):
    said = judged(task, {"untreated": runs("untreated", BEFORE), "new": runs("new", AFTER)})["new"]
    assert said.effect == paired_effect(BEFORE, AFTER, higher_is_better=True)
    assert (said.outcome, said.adjusted_p) == ("helps", said.effect.p)


def test_the_sign_flip_p_is_told_beside_it_from_eight_seeds_on(task):
    arms = {"untreated": runs("untreated", BEFORE), "new": runs("new", AFTER)}
    assert judged(task, arms)["new"].sign_flip_p == sign_flip_p(GAINS) == 2 / 2**8
    seven = {name: done[:7] for name, done in arms.items()}
    assert judged(task, seven)["new"].sign_flip_p is None


def test_what_could_not_be_seen_counts_the_arms(task):
    arms = {"untreated": runs("untreated", BEFORE), "a": runs("a", AFTER), "b": runs("b", AFTER)}
    deviation = 0.01511857892
    for count, names in ((1, ["a"]), (2, ["a", "b"])):
        chosen = {name: arms[name] for name in ["untreated", *names]}
        expected = minimum_detectable_effect(deviation, 8, level=0.05 / count)
        assert judged(task, chosen)["a"].detectable == pytest.approx(expected)


def test_runs_that_do_not_differ_may_hide_an_effect_below_a_row(task):
    said = judged(task, {"untreated": runs("untreated", BEFORE), "new": runs("new", BEFORE)})["new"]
    assert (said.outcome, said.effect.p) == ("no evidence", 1.0)
    assert said.detectable == pytest.approx(minimum_detectable_effect(0.02 / 12**0.5, 8))


def test_equal_accuracies_on_few_rows_leave_an_interval(task):
    said = judged(task, {"untreated": runs("untreated", BEFORE), "new": runs("new", BEFORE)})["new"]
    assert said.effect.high == pytest.approx(0.36942 / 50, rel=1e-4)


def test_the_interval_for_other_rows_is_told_where_every_run_has_its_rows(task):
    before = [[0, 1, 1, 0, 1], [1, 1, 0, 0, 1], [0, 1, 1, 1, 0]]
    after = [[1, 1, 1, 0, 1], [1, 1, 1, 0, 1], [0, 1, 1, 1, 1]]
    arms = {
        "untreated": runs("untreated", [0.6] * 3, rows=before),
        "new": runs("new", [0.8] * 3, rows=after),
    }
    expected = other_rows_effect(before, after, higher_is_better=True)
    assert judged(task, arms)["new"].other_rows == expected
    arms["new"][1] = runs("new", [0.8] * 3)[1]
    assert judged(task, arms)["new"].other_rows is None


def test_unlike_numbers_of_diverged_runs_are_a_caution(task):
    base = runs("untreated", BEFORE, diverged=2)
    said = judged(task, {"untreated": base, "new": runs("new", AFTER)})["new"]
    assert [text[:50] for text in said.cautions] == [
        "2 of 8 untreated and 0 of 8 treated runs diverged:"
    ]
    alike = judged(task, {"untreated": base, "new": runs("new", AFTER, diverged=2)})["new"]
    assert alike.cautions == ()


def test_a_verdict_that_the_sign_flip_test_does_not_confirm_says_so(task):
    gains = [0.02, 0.02, 0.02, 0.02, 0.02, 0.0, 0.0, 0.0]
    after = [before + gain for before, gain in zip(BEFORE, gains, strict=True)]
    said = judged(task, {"untreated": runs("untreated", BEFORE), "new": runs("new", after)})["new"]
    assert said.outcome == "helps"
    assert said.cautions == (
        "the sign-flip test, which asks less of the scores, does not confirm it (p = 0.06)",
    )


def test_only_an_accuracy_moves_in_steps_that_are_known(task, make_task):
    assert score_step(task, 50) == 0.02
    task = make_task()
    other = type(task)("f1", task.make_model, task.data, "cross_entropy", "macro_f1")
    assert score_step(other, 50) == 0.0
