import torch
from torch import nn

from fitwell.probes import Gradientless
from fitwell.records import Quantity
from fitwell.testing import ProbeContract


class Idle(nn.Module):
    """A network with a branch that is never called."""

    def __init__(self):
        super().__init__()
        self.body, self.branch = nn.Linear(6, 3), nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))

    def forward(self, x):
        return self.body(x)


class TestGradientless(ProbeContract):
    def make(self, model, optimizer):
        return Gradientless(model, (optimizer,))

    def network(self):
        return Idle()

    def test_a_copy_made_meanwhile_works_and_is_not_read(self):
        """It attaches nothing: there is nothing that a copy could carry."""


def read(model, *optimizers):
    model(torch.ones(4, 6)).sum().backward()
    with Gradientless(model, optimizers) as probe:
        probe.before_update()
        return {(r.quantity, r.module): float(r.value) for r in probe.readings()}


def test_parameters_without_a_gradient_are_counted_by_module():
    model = Idle()
    assert read(model, torch.optim.SGD(model.parameters())) == {
        (Quantity.GRADIENTLESS, "branch.0"): 2.0,
        (Quantity.GRADIENTLESS, "branch.1"): 2.0,
    }


def test_what_is_frozen_or_held_by_no_optimizer_is_not_counted():
    model = Idle()
    model.branch[1].requires_grad_(False)
    parameters = [*model.body.parameters(), model.branch[0].weight, *model.branch[1].parameters()]
    found = read(model, torch.optim.SGD(parameters))
    assert found == {(Quantity.GRADIENTLESS, "branch.0"): 1.0}


def test_a_gradient_of_zero_is_a_gradient():
    model = Idle()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    assert not read(model, torch.optim.SGD(model.parameters()))
