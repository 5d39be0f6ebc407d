"""What a loss is given, against the definition in plain Python."""

import statistics

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.probes import Pairs
from fitwell.probes.loss_facts import expected_output
from fitwell.probes.pairs import pair_readings
from fitwell.records import Quantity
from fitwell.testing import ProbeContract


class WithLoss(nn.Module):
    """A network that computes its loss itself."""

    def __init__(self):
        super().__init__()
        self.body, self.loss = nn.Linear(6, 2), nn.MSELoss()

    def forward(self, x):
        return self.loss(self.body(x), torch.ones(len(x), 2))


class TestPairs(ProbeContract):
    def make(self, model, optimizer):
        return Pairs(model.loss)

    def network(self):
        return WithLoss()


def read(output, target, **kwargs) -> dict[Quantity, float]:
    return {r.quantity: float(r.value) for r in pair_readings(output, target, **kwargs)}


def test_targets_are_measured_as_the_definition_says():
    target = torch.tensor([[3.0], [-1.0], [4.0], [10.0]])
    found = read(torch.zeros(4, 1), target)
    values = target.flatten().tolist()
    assert found[Quantity.TARGET_MEAN] == pytest.approx(statistics.fmean(values))
    assert found[Quantity.TARGET_SPREAD] == pytest.approx(statistics.pstdev(values))
    assert (found[Quantity.TARGET_MIN], found[Quantity.TARGET_MAX]) == (-1.0, 10.0)


def test_classes_that_the_loss_ignores_are_left_out():
    target = torch.tensor([[2, -100, 4], [-100, 3, 3]])
    found = read(torch.zeros(2, 9, 3), target, ignored=-100)
    assert (found[Quantity.TARGET_MIN], found[Quantity.TARGET_MAX]) == (2.0, 4.0)
    assert found[Quantity.TARGET_MEAN] == pytest.approx(3.0)
    assert found[Quantity.TARGET_SPREAD] == pytest.approx(statistics.pstdev([2, 4, 3, 3]))


def test_targets_all_ignored_give_finite_numbers():
    found = read(torch.zeros(2, 5), torch.tensor([-100, -100]), ignored=-100)
    assert found[Quantity.TARGET_MIN] == found[Quantity.TARGET_MAX] == 0.0


def test_outputs_are_measured_as_the_definition_says():
    output = torch.tensor([[1.0, 5.0], [2.0, 5.0], [6.0, -8.0]])
    found = read(output, torch.tensor([0, 1, 1]))
    columns = output.T.tolist()
    expected = statistics.fmean(statistics.pstdev(column) for column in columns)
    assert found[Quantity.OUTPUT_SPREAD] == pytest.approx(expected)
    assert (found[Quantity.OUTPUT_MIN], found[Quantity.OUTPUT_MAX]) == (-8.0, 6.0)
    assert found[Quantity.ROW_SUM_ERROR] == pytest.approx(6.0)


def test_rows_behind_a_softmax_sum_to_one_over_the_classes():
    torch.manual_seed(0)
    scores = torch.randn(3, 4, 5)
    target = torch.zeros(3, 5, dtype=torch.long)
    assert read(scores.softmax(1), target)[Quantity.ROW_SUM_ERROR] < 1e-6
    assert read(scores.softmax(2), target)[Quantity.ROW_SUM_ERROR] > 0.1


def test_a_masked_score_is_no_infinity():
    output = torch.tensor([[0.0, float("-inf")], [1.0, 2.0]])
    found = read(output, torch.tensor([0, 1]))
    assert all(abs(value) < float("inf") for value in found.values())


def test_a_half_precision_output_is_summed_wide():
    output = torch.full((2, 2048), 40.0, dtype=torch.float16)
    assert read(output, torch.tensor([0, 1]))[Quantity.ROW_SUM_ERROR] == 2048 * 40.0 - 1


def test_a_training_loss_is_read_and_an_evaluation_is_not():
    loss_fn, weight = nn.CrossEntropyLoss(), torch.ones(4, 3, requires_grad=True)
    with Pairs(loss_fn) as probe:
        loss_fn(weight * 2, torch.tensor([0, 1, 2, 0]))
        assert {r.count for r in probe.readings()} == {4}
        assert probe.facts() == {
            "output_shape": (4, 3),
            "target_shape": (4,),
            "target_kind": "integers",
        }
        number = len(tuple(probe.readings()))
        with torch.no_grad():
            loss_fn(weight * 2, torch.tensor([0, 1, 2, 0]))
        assert len(tuple(probe.readings())) == number


@pytest.mark.parametrize(
    ("loss_fn", "expected"),
    [
        (nn.CrossEntropyLoss(), "logits"),
        (nn.BCEWithLogitsLoss(), "logits"),
        (nn.NLLLoss(), "log_probabilities"),
        (nn.KLDivLoss(), "log_probabilities"),
        (nn.BCELoss(), "probabilities"),
        (nn.MSELoss(), "values"),
        (nn.HuberLoss(), "values"),
        (F.cross_entropy, "logits"),
        (type("Weighted", (nn.CrossEntropyLoss,), {})(), "logits"),
        (lambda output, target: output, ""),
        (None, ""),
    ],
)
def test_what_a_loss_expects_follows_from_its_kind(loss_fn, expected):
    assert expected_output(loss_fn) == expected
