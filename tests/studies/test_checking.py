from __future__ import annotations

from functools import partial

import pytest
from torch import nn
from torch.optim import SGD

from fitwell.records import Diagnosis, Finding, Quantity
from fitwell.studies import check
from fitwell.studies.checking import examine, merged
from fitwell.studies.job import Job
from fitwell.studies.training import fit
from fitwell.tasks import Task


def finding(condition, severity="mild", confidence=0.5, cause=None, since=None):
    return Finding(condition, severity, confidence, (), since, {}, "", cause=cause)


def test_the_watched_run_is_the_run_without_the_watch(task):
    watched = examine(task, seed=4).run
    plain = fit(task, Job((), 4)).run
    assert watched.curves == plain.curves
    assert watched.validation == plain.validation


def test_the_trace_holds_the_losses_of_every_epoch_and_the_facts(task):
    _, trace = check(task)
    for phase in ("train", "validation"):
        assert len(trace.series(Quantity.LOSS, phase=phase)) == 3
        assert len(trace.series(Quantity.METRIC, phase=phase)) == 3
    facts = trace.facts
    assert (facts.loss, facts.metric, facts.classes) == ("cross_entropy", "accuracy", 2)
    assert (facts.rows, facts.validation_rows, facts.batch_size) == (40, 30, 32)
    assert facts.chance_loss == pytest.approx(task.chance_loss)


def test_gradients_that_vanish_are_found(task):
    def deep():
        layers = [nn.Linear(4, 16)]
        for _ in range(20):
            layers += [nn.Sigmoid(), nn.Linear(16, 16)]
        return nn.Sequential(*layers, nn.Sigmoid(), nn.Linear(16, 2))

    task = Task(
        "deep",
        deep,
        task.data,
        "cross_entropy",
        "accuracy",
        optimizer=partial(SGD, lr=0.05),
        epochs=8,
    )
    diagnosis, _ = check(task)
    assert "vanishing_gradients" in diagnosis.conditions


def test_of_two_findings_of_one_condition_the_graver_stays():
    before = Diagnosis((finding("dead_units", "severe"),))
    during = Diagnosis((finding("dead_units", "mild", since=3),))
    assert merged(before, during).findings == before.findings
    assert merged(during, before).findings == before.findings


def test_of_two_equal_findings_that_of_the_run_stays():
    before = Diagnosis((finding("dead_units"),))
    during = Diagnosis((finding("dead_units", since=3),))
    assert merged(before, during).findings == during.findings


def test_findings_of_both_are_kept_causes_first():
    cause = finding("bad_initialization")
    during = Diagnosis((finding("overfitting"), finding("dead_units", cause=cause)))
    both = merged(Diagnosis((cause,)), during)
    assert both.conditions == ("bad_initialization", "overfitting", "dead_units")


def test_two_healthy_diagnoses_are_healthy():
    assert merged(Diagnosis(), Diagnosis()).healthy


def test_what_the_first_batch_was_judged_for_is_not_left_unjudged():
    during = Diagnosis((), ("loss_output_mismatch: no.", "overfitting: no.", "dead_units: none."))
    before = Diagnosis((), ("dead_units: none.",))
    assert merged(before, during).unjudged == ("overfitting: no.", "dead_units: none.")
