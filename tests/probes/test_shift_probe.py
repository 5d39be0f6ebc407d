"""Shift between training and evaluation, against the definition in plain Python."""

import math
import statistics

import pytest
import torch
from torch import nn

from fitwell.probes import Inputs, Pairs, Shift, Tallies
from fitwell.probes.tallies import Tally
from fitwell.records import Quantity


def tally(*batches, **kwargs) -> Tally:
    account = Tally()
    for batch in batches:
        account.add(batch, **kwargs)
    return account


def naive(training, evaluation) -> float:
    squares = [
        ((statistics.fmean(a) - statistics.fmean(b)) / statistics.pstdev(a)) ** 2
        for a, b in zip(training.T.tolist(), evaluation.T.tolist(), strict=True)
    ]
    return math.sqrt(statistics.fmean(squares))


def test_numbers_lie_apart_by_the_definition_over_all_batches():
    torch.manual_seed(0)
    a = torch.randn(60, 3).double() * torch.tensor([1.0, 20.0, 3.0]) + 400
    b = torch.randn(30, 3).double() + torch.tensor([400.0, 410.0, 401.0])
    found = tally(a[:20], a[20:]).shift(tally(b))
    assert float(found) == pytest.approx(naive(a, b), rel=1e-6)


def test_classes_lie_apart_by_the_total_variation_of_their_shares():
    a, b = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, -100])
    found = tally(a, ignored=-100).shift(tally(b, ignored=-100))
    shares = [(1 / 2, 1 / 3), (1 / 4, 2 / 3), (1 / 4, 0)]
    assert float(found) == pytest.approx(sum(abs(p - q) for p, q in shares) / 2)


def test_the_same_rows_lie_nowhere_apart():
    torch.manual_seed(0)
    for batch in (torch.randn(9, 4), torch.randn(4, 3, 8, 8), torch.randint(0, 9, (7, 5))):
        assert float(tally(batch).shift(tally(batch.flip(0)))) == pytest.approx(0.0, abs=1e-5)


def test_a_feature_that_is_constant_in_training_is_measured_by_the_other_side():
    rare = torch.zeros(100, 1)
    rare[0] = 1.0
    found = tally(torch.zeros(100, 1)).shift(tally(rare))
    assert float(found) == pytest.approx(0.01 / math.sqrt(0.01 * 0.99), rel=1e-4)
    assert tally(torch.zeros(9, 1)).shift(tally(torch.ones(9, 1))) == 1.0


def test_a_picture_that_moved_lies_apart_although_its_mean_does_not():
    torch.manual_seed(0)
    pictures = 0.1 * torch.randn(50, 1, 16, 16)
    left, right = pictures.clone(), pictures.clone()
    left[..., :8] += 1
    right[..., 8:] += 1
    assert tally(left).shift(tally(right)) > 5
    assert tally(left).shift(tally(left + 0.01 * torch.randn_like(left))) < 0.1


def test_a_large_batch_is_thinned_to_rows_that_are_counted():
    account = tally(torch.randn(5000, 100))
    assert 600 < account.rows < 700
    assert account.moments.count == account.rows


def test_accounts_of_different_things_do_not_compare():
    assert tally(torch.randn(9, 4)).shift(tally(torch.randn(9, 3))) is None
    assert tally(torch.randn(9, 4)).shift(tally(torch.randint(0, 3, (9, 4)))) is None


class Run:
    """A run of a linear network with the probes that a watch would attach."""

    def __init__(self, *, known=True):
        torch.manual_seed(0)
        self.model, self.loss_fn = nn.Linear(2, 3), nn.CrossEntropyLoss()
        self.tallies = Tallies.of(self.model)
        self.shift = Shift(self.model, self.loss_fn if known else None, self.tallies)
        self.probes = (
            Inputs(self.model, tally=self.tallies.inputs),
            Pairs(self.loss_fn, tallies=self.tallies),
        )

    def train(self, rows=300):
        self.model.train()
        with self.probes[0], self.probes[1]:
            self.loss_fn(self.model(torch.randn(rows, 2)), torch.arange(rows) % 3)
            for probe in self.probes:
                probe.after_update()
        return self.read()

    def evaluate(self, move=0.0, rows=300):
        self.model.eval()
        with torch.no_grad():
            self.loss_fn(self.model(torch.randn(rows, 2) + move), torch.zeros(rows).long())

    def read(self):
        found = list(self.shift.readings())
        assert all(r.phase == "validation" for r in found)
        return {r.quantity: (float(r.value), r.count) for r in found}


def test_an_evaluation_is_told_once_with_the_smaller_number_of_rows():
    run = Run()
    with run.shift:
        assert run.train() == {}
        run.evaluate(move=2.0, rows=120)
        found = run.train()
        assert found[Quantity.INPUT_SHIFT] == (pytest.approx(2.0, abs=0.4), 120)
        assert found[Quantity.TARGET_SHIFT] == (pytest.approx(2 / 3), 120)
        assert Quantity.OUTPUT_SHIFT not in found
        assert run.train() == {}


def test_outputs_are_compared_before_the_first_update_alone():
    run = Run()
    with run.shift:
        run.evaluate(move=3.0)
        found = run.train()
        assert found[Quantity.OUTPUT_SHIFT][0] > 0.5


def test_the_hooks_are_gone_after_three_evaluations():
    run = Run()
    with run.shift:
        for _ in range(3):
            run.train()
            run.evaluate()
            assert run.model._forward_pre_hooks
        assert run.train()
        assert not run.model._forward_pre_hooks
        assert not run.loss_fn._forward_hooks
        run.evaluate()
        assert run.train() == {}


def test_an_evaluation_at_the_end_is_told_when_the_run_ends():
    run = Run()
    with run.shift:
        run.train()
        run.evaluate()
    assert run.read()[Quantity.INPUT_SHIFT][0] < 0.3


def test_a_pass_without_gradients_whose_loss_nobody_asks_for_is_no_evaluation():
    run = Run()
    with run.shift:
        run.train()
        with torch.no_grad():
            run.model(torch.randn(300, 2) + 9)
        assert run.train() == {}


def test_without_a_loss_module_every_pass_without_gradients_counts():
    run = Run(known=False)
    with run.shift:
        run.train()
        with torch.no_grad():
            run.model(torch.randn(300, 2) + 9)
        assert run.train()[Quantity.INPUT_SHIFT][0] == pytest.approx(9, abs=1)
