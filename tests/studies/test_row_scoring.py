from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fitwell.studies import InProcess, row_scoring
from fitwell.studies.bench import Bench
from fitwell.studies.job import Job
from fitwell.studies.row_scoring import with_test_rows
from fitwell.studies.training import fit
from fitwell.tasks import Data, Split, Task

JOB = Job((), 0, test=True)


def scored(task: Task):
    fitted = fit(task, JOB)
    return with_test_rows(task, fitted), fitted.model


def numbers_task(loss: object, metric: str, **options: object) -> Task:
    random = torch.Generator().manual_seed(0)
    splits = []
    for count in (40, 20, 30):
        x = torch.randn(count, 3, generator=random)
        splits.append(Split(x, x.sum(1, keepdim=True)))
    return Task(
        "sum", lambda: nn.Linear(3, 1), Data(*splits, "table"), loss, metric, epochs=2, **options
    )


def test_hits_and_losses_of_classes_are_those_of_the_network(task):
    run, model = scored(task)
    outputs, y = model(task.data.test.x), task.data.test.y
    assert run.test_rows.metrics == tuple((outputs.argmax(1) == y).float().tolist())
    each = F.cross_entropy(outputs, y, reduction="none")
    assert run.test_rows.losses == pytest.approx(each.tolist(), rel=1e-5)


@pytest.mark.parametrize(("metric", "power"), [("mae", 1), ("mse", 2)])
def test_errors_of_numbers_are_those_of_the_network(metric, power):
    task = numbers_task("mse", metric)
    run, model = scored(task)
    error = (model(task.data.test.x) - task.data.test.y).abs().squeeze(1)
    assert run.test_rows.metrics == pytest.approx((error**power).tolist(), rel=1e-4)
    assert np.mean(run.test_rows.losses) == pytest.approx(run.test.loss, rel=1e-5)


@pytest.mark.parametrize("metric", ["r2", "rmse"])
def test_a_metric_that_is_no_mean_over_rows_is_left_out(metric):
    run, _ = scored(numbers_task("mse", metric))
    assert run.test_rows.metrics == ()
    assert len(run.test_rows.losses) == 30


def test_a_loss_that_is_no_mean_over_rows_is_left_out(make_task):
    def skewed(outputs, targets):
        each = F.cross_entropy(outputs, targets, reduction="none")
        return each.square().mean().sqrt()

    task = make_task()
    other = Task("skewed", task.make_model, task.data, skewed, "accuracy", epochs=2)
    run, _ = scored(other)
    assert run.test_rows.losses == ()
    assert len(run.test_rows.metrics) == 50


def test_a_loss_that_cannot_be_taken_row_by_row_is_left_out(make_task):
    def stubborn(outputs, targets):
        if F.cross_entropy(outputs, targets).item() < 0:
            raise AssertionError
        return F.cross_entropy(outputs, targets)

    task = make_task()
    other = Task("stubborn", task.make_model, task.data, stubborn, "accuracy", epochs=1)
    run, _ = scored(other)
    assert run.test_rows.losses == ()


def test_a_metric_of_the_users_own_that_only_shares_a_name_is_left_out(make_task):
    def accuracy(outputs, targets):
        return float((outputs.argmax(1) == targets).double().mean()) / 2

    task = make_task()
    other = Task(
        "own",
        task.make_model,
        task.data,
        "cross_entropy",
        accuracy,
        epochs=1,
        higher_is_better=True,
    )
    run, _ = scored(other)
    assert run.test_rows.metrics == ()


def test_the_rows_of_another_network_than_the_one_on_record_are_not_kept(task):
    fitted = fit(task, JOB)
    wrong = replace(fitted.run, test=replace(fitted.run.test, metric=0.123, loss=9.0))
    assert with_test_rows(task, replace(fitted, run=wrong)) == wrong


def test_many_rows_and_runs_that_were_not_tested_are_left_as_they_are(task, monkeypatch):
    fitted = fit(task, Job((), 0))
    assert with_test_rows(task, fitted) == fitted.run
    monkeypatch.setattr(row_scoring, "MOST_ROWS", 49)
    run, _ = scored(task)
    assert run.test_rows is None


def test_a_run_that_diverged_at_once_has_the_rows_of_a_constant_guess(make_task):
    task = make_task(optimizer=partial(torch.optim.SGD, lr=1e30))
    run, _ = scored(task)
    assert run.diverged
    likeliest = torch.bincount(task.data.train.y).argmax()
    assert run.test_rows.metrics == tuple((task.data.test.y == likeliest).float().tolist())
    assert np.mean(run.test_rows.losses) == pytest.approx(run.test.loss, rel=1e-5)


def test_a_bench_keeps_the_rows_of_runs_that_are_tested(task):
    done = Bench(task, InProcess()).run([JOB, Job((), 1)])
    assert [result.test_rows is not None for result in done.values()] == [True, False]
