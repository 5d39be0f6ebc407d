"""The measurement of remedies on the fault corpus: what is tried, and what counts as repaired."""

import math

import pytest
import torch
from benchmarks.faults import repairing
from benchmarks.faults.case import program
from benchmarks.faults.lab import Lab
from benchmarks.faults.repair_page import repair_section
from benchmarks.faults.repairing import Repair, no_worse, prescribed
from benchmarks.faults.treating import Applied
from torch import nn

from fitwell.records import Diagnosis, Finding, RemedySpec

CLIP, RATE = RemedySpec("ClipNorm"), RemedySpec("LearningRate", {"factor": 0.5, "warmup": 0})
SEEN = []  # what a run of the program leaves for the test to look at
X, Y = torch.arange(8.0).reshape(8, 1) / 8, torch.arange(8.0).reshape(8, 1) / 4


@program("mlp", "regression", split="calibration")
def line(lab, *, rate=0.1, held="weight"):
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD([getattr(model, held)], lr=rate, momentum=0.5)
    loss_fn = nn.MSELoss()
    model, optimizer, loss_fn = lab.prepare(model, optimizer, loss_fn, X)
    with lab.watch(model, optimizer, loss_fn):
        for _ in range(3):
            x, y = lab.batch(X, Y)
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
    SEEN.append((optimizer, lab.finished(model)))
    return {"val_loss": float(loss_fn(model(X), Y).detach())}


def made(*specs, **settings):
    torch.manual_seed(0)
    case = line.healthy("line", **settings)
    treatment = Applied(*specs) if specs else None
    outcome = case.run(Lab(0, watched=False, treatment=treatment))
    return outcome["val_loss"], *SEEN.pop()


def test_half_the_rate_by_a_remedy_is_half_the_rate_by_hand():
    treated, optimizer, _ = made(RATE, rate=0.2)
    by_hand, _, _ = made(rate=0.1)
    assert treated == pytest.approx(by_hand, rel=1e-6)
    assert optimizer.param_groups[0]["momentum"] == 0.5


def test_a_treated_optimizer_holds_what_the_program_gave_it_and_no_more():
    _, optimizer, model = made(CLIP, held="bias")
    assert [p is model.bias for group in optimizer.param_groups for p in group["params"]] == [True]


def test_remedies_are_tried_in_the_order_of_the_alarms_each_once_and_mild_ones_not():
    def finding(severity, *specs):
        return Finding("overfitting", severity, 1.0, (), 0, {"a": 1.0}, "Said.", tuple(specs))

    found = (finding("mild", RATE), finding("severe", CLIP), finding("moderate", CLIP, RATE))
    assert prescribed(Diagnosis(found)) == (CLIP, RATE)


@pytest.mark.parametrize(
    ("value", "outcome", "well"),
    [(1.0, "val_loss", True), (1.01, "val_loss", False), (math.nan, "val_loss", False),
     (1.0, "val_accuracy", True), (0.99, "val_accuracy", False)],
)  # fmt: skip
def test_a_loss_shall_be_low_and_an_accuracy_high(value, outcome, well):
    assert no_worse(value, 1.0, outcome) is well


def test_the_bound_is_the_prediction_interval_of_one_further_run():
    # mean 2, deviation 1, three runs: 2 ± 4.30 · √(4/3)
    assert repairing._bound([1.0, 2.0, 3.0], "val_loss") == pytest.approx(2 + 4.30 * (4 / 3) ** 0.5)
    assert repairing._bound([1.0, 2.0, 3.0], "val_accuracy") == pytest.approx(
        2 - 4.30 * (4 / 3) ** 0.5
    )


def test_the_gain_is_the_share_of_the_gap_that_the_first_remedy_closed():
    assert repairing._gain(0.2, 1.0, [0.6, 1.0], "val_accuracy") == pytest.approx(0.5)
    assert repairing._gain(4.0, 1.0, [2.0], "val_loss") == pytest.approx(0.5)
    assert repairing._gain(4.0, 1.0, [9.0e9], "val_loss") == -1.0
    assert repairing._gain(4.0, 1.0, [math.nan], "val_loss") == 0.0


def test_what_a_sweep_found_is_read_back_the_same(tmp_path):
    found = [Repair("a", 0, "dead_units", False, False, ("X()",), (math.inf,), 0, -1.0, 2.0)]
    repairing.save(found, tmp_path)
    assert repairing.load(tmp_path) == found
    assert repairing.load(tmp_path / "nowhere") == []


def test_the_page_counts_remedies_and_advice_apart():
    case = line.sick("a", "learning_rate_too_high", rate=9.0)
    repairs = [
        Repair("a", 0, "learning_rate_too_high", False, False, ("X()",), (1.0,), 1, 1.0, 2.0),
        Repair("a", 1, "learning_rate_too_high", False, False, ("X()", "Y()"), (9.0, 1.0), 2, 0.0),
        Repair("a", 2, "wrong_mode", True, False),
        Repair("a", 3, "", False, False),
    ]
    page = repair_section([case], repairs)
    assert "| learning_rate_too_high | 4 | 1/2 | 2/2 | 0.50 | 0/1 | 1 | 1.0 |" in page
    assert "- `a`, 2 runs: said nothing, wrong_mode; tried nothing" in page
