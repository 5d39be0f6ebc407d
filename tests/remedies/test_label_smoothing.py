"""The smoothed loss is torch's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.errors import BadInput, NotApplicable, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import LabelSmoothing
from fitwell.testing import RemedyContract


class TestLabelSmoothing(RemedyContract):
    def make_remedy(self):
        return LabelSmoothing(0.2)

    def make_stack(self):
        return [LabelSmoothing(amount) for amount in (0.0, 0.2, 1.0)]

    def make_untreatable(self):
        return nn.Sequential(nn.Linear(4, 1)), torch.randn(5, 4)


CASES = {
    "classes": (torch.randn(6, 4), torch.arange(6) % 4),
    "pixels": (torch.randn(2, 4, 3, 3), torch.arange(18).reshape(2, 3, 3) % 4),
    "ignored": (torch.randn(6, 4), torch.tensor([0, 1, -100, 3, -100, 2])),
    "shares": (torch.randn(6, 4), torch.rand(6, 4).softmax(1)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("amount", [0.0, 0.1, 1.0])
def test_it_is_the_label_smoothing_of_torch(case, amount):
    outputs, targets = CASES[case]
    loss = LabelSmoothing(amount).on_loss(F.cross_entropy(outputs, targets), outputs, targets)
    expected = F.cross_entropy(outputs, targets, label_smoothing=amount)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_validation_sees_the_plain_loss():
    outputs, targets = CASES["classes"]
    model = nn.Sequential(nn.Linear(2, 4))
    treated = Recipe(LabelSmoothing()).apply(model, example_input=torch.ones(1, 2))
    loss = treated.loss(F.cross_entropy)
    with torch.no_grad():
        assert loss(outputs, targets) == F.cross_entropy(outputs, targets)
    smoothed = F.cross_entropy(outputs, targets, label_smoothing=0.1)
    torch.testing.assert_close(loss(outputs, targets), smoothed)


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (torch.randn(6), torch.arange(6)),
        (torch.randn(6, 4), torch.arange(5)),
        (torch.randn(6, 1), torch.randn(6)),
        ({"scores": torch.randn(6, 4)}, torch.arange(6)),
    ],
)
def test_what_is_no_classification_is_refused(outputs, targets):
    with pytest.raises(BadInput, match="Label smoothing needs class scores"):
        LabelSmoothing().on_loss(torch.tensor(1.0), outputs, targets)


@pytest.mark.parametrize("loss_fn", [F.mse_loss, F.binary_cross_entropy_with_logits, F.l1_loss])
def test_a_loss_of_numbers_is_refused_though_the_targets_look_like_shares(loss_fn):
    outputs, targets = CASES["shares"]
    loss = loss_fn(outputs, targets)
    with pytest.raises(BadInput, match="needs the mean cross entropy as the loss: against these"):
        LabelSmoothing().on_loss(loss, outputs, targets)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_shares_of_classes_are_smoothed_in_other_precisions(dtype):
    outputs, targets = (given.to(dtype) for given in CASES["shares"])
    LabelSmoothing().on_loss(F.cross_entropy(outputs, targets), outputs, targets)


def test_one_output_has_no_classes():
    with pytest.raises(NotApplicable, match="two classes or more"):
        Recipe(LabelSmoothing()).apply(
            nn.Sequential(nn.Linear(2, 1)), example_input=torch.ones(3, 2)
        )


def test_an_amount_out_of_range_is_refused():
    with pytest.raises(ThresholdError, match="amount"):
        LabelSmoothing(1.2)
