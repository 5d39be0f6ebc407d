from __future__ import annotations

import pytest
from scipy.stats import ttest_rel

from fitwell.errors import BadInput, NotApplicable, TaskError
from fitwell.recipe import Recipe
from fitwell.remedies import L2, Activation, BatchNorm, Dropout
from fitwell.studies import InProcess, compare, train
from fitwell.studies.bench import Bench
from fitwell.studies.progress import Silent
from fitwell.studies.search import SEARCH_SEEDS
from fitwell.studies.study import MAX_SEEDS, Arm, prove

ARMS = {"dropout": Recipe(Dropout(0.5)), "norm": Recipe(BatchNorm(), L2(0.1))}


def test_every_arm_runs_on_the_same_seeds_and_the_untreated_comes_first(task):
    study = compare(task, ARMS, seeds=3)
    assert [arm.name for arm in study.record.arms] == ["untreated", "dropout", "norm"]
    assert all([run.seed for run in arm.runs] == [0, 1, 2] for arm in study.record.arms)
    assert study.record.arms[0].verdict is None


def test_scores_are_those_of_single_runs_on_test(task):
    study = compare(task, ARMS, seeds=2)
    run = train(task, ARMS["dropout"], seed=1, test=True)
    assert run.test is not None
    assert study.record.arm("dropout").per_seed[1] == run.test.metric


def test_verdicts_are_paired_and_corrected_for_their_number(task):
    study = compare(task, ARMS, seeds=4)
    untreated = study.record.arms[0]
    ps = {}
    for name, judged in study.verdicts.items():
        arm = study.record.arm(name)
        oracle = ttest_rel(
            [run.test.loss for run in untreated.runs], [run.test.loss for run in arm.runs]
        )
        assert judged.loss_effect.p == pytest.approx(oracle.pvalue)
        ps[name] = judged.effect.p
    small, large = sorted(ps, key=ps.__getitem__)
    assert study.verdicts[small].adjusted_p == pytest.approx(min(1.0, 2 * ps[small]))
    assert study.verdicts[large].adjusted_p >= ps[large]


def test_without_tuning_every_arm_has_the_tasks_rate(task):
    assert {arm.rate for arm in compare(task, ARMS, seeds=2).record.arms} == {1.0}


def test_tuning_takes_the_rate_that_is_best_on_validation(make_task):
    task = make_task(epochs=2)
    study = compare(task, {"dropout": Recipe(Dropout(0.2))}, seeds=2, tune_rate=True)
    for arm in study.record.arms:
        recipe = Recipe(*arm.recipe)
        scores = {}
        for rate in (1.0, 0.3, 3.0):
            runs = [train(task, recipe, seed=seed, rate=rate) for seed in SEARCH_SEEDS[:2]]
            scores[rate] = sum(run.validation.metric for run in runs)
        assert scores[arm.rate] >= sorted(scores.values())[1]


def test_the_seeds_of_proof_and_search_never_meet():
    assert min(SEARCH_SEEDS) >= MAX_SEEDS


@pytest.mark.parametrize("seeds", [0, 1, -3, 1001])
def test_seeds_out_of_range_are_refused(task, seeds):
    with pytest.raises(BadInput, match="seeds"):
        compare(task, ARMS, seeds=seeds)


def test_no_arm_is_refused(task):
    with pytest.raises(BadInput, match="nothing to compare"):
        compare(task, {})


def test_the_name_untreated_is_taken(task):
    with pytest.raises(BadInput, match="untreated"):
        compare(task, {"untreated": Recipe(Dropout())})


def test_a_remedy_that_cannot_serve_is_named_with_its_arm(task):
    with pytest.raises(NotApplicable, match="'swap' cannot be trained"):
        compare(task, {"swap": Recipe(Activation("relu"))}, seeds=2)


def test_a_remedy_that_cannot_serve_is_refused_before_any_run(task):
    class NoRuns(Silent):
        def stage(self, name, runs):
            raise AssertionError(f"{name}, with {runs} runs")

    with pytest.raises(NotApplicable, match="'swap' cannot be trained"):
        compare(task, ARMS | {"swap": Recipe(Activation("relu"))}, seeds=2, progress=NoRuns())


def test_a_task_that_cannot_be_trained_on_is_refused_first(make_task):
    task = make_task()
    model = task.make_model()
    task.make_model = lambda: model
    with pytest.raises(TaskError):
        compare(task, ARMS, seeds=2)


def test_the_table_tells_every_arm(task):
    lines = str(compare(task, ARMS, seeds=2)).splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["arm", "untreated", "dropout", "norm"]


def test_data_has_what_the_table_has(task):
    data = compare(task, ARMS, seeds=2).to_dict()
    assert [arm["name"] for arm in data["arms"]] == ["untreated", "dropout", "norm"]


def test_a_study_of_the_untreated_arm_alone_has_no_verdict(task):
    record = prove(Bench(task, InProcess()), [Arm("untreated")], range(2))
    assert len(record.arms) == 1
    assert record.arms[0].verdict is None


def test_below_the_table_stands_what_could_not_have_been_seen(task):
    study = compare(task, ARMS, seeds=4)
    unproven = [name for name, said in study.verdicts.items() if said.outcome == "no evidence"]
    assert unproven
    for name in unproven:
        assert f"{name}: an effect under " in study.table()
    assert " could not have been seen with 4 seeds (80 % power)." in study.table()


def test_what_holds_on_other_rows_is_in_the_data(task):
    arms = compare(task, ARMS, seeds=3).to_dict()["arms"]
    reach = arms[1]["verdict"]["other_rows"]
    assert reach["mean"] == pytest.approx(arms[1]["verdict"]["effect"]["mean"], abs=1e-6)
    assert reach["low"] < reach["mean"] < reach["high"]
