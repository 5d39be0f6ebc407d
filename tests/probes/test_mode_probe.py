import warnings

import torch
from torch import nn

from fitwell.probes import EvaluationMode, Mode
from fitwell.records import Quantity
from fitwell.testing import ProbeContract


class TestMode(ProbeContract):
    def make(self, model, optimizer):
        return Mode(model)


class Aside(nn.Module):
    """Runs its body once without gradients, as an evaluation would, before the real pass."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))

    def forward(self, x):
        with torch.no_grad():
            self.body(x)
        return self.body(x)


class TestEvaluationMode(ProbeContract):
    def make(self, model, optimizer):
        return EvaluationMode(model.body)

    def network(self):
        return Aside()


def read(probe):
    return [(float(r.value), r.phase, r.count) for r in probe.readings()]


def test_only_passes_that_a_gradient_came_back_to_are_training():
    model = nn.Linear(2, 1)
    x = torch.ones(3, 2)
    with Mode(model) as probe:
        model(x)
        model(x).sum().backward()
        model.eval()
        model(x).sum().backward()
        assert read(probe) == [(1.0, "train", 1), (0.0, "train", 1)]
        assert {r.quantity for r in probe.readings()} == {Quantity.TRAINING_MODE}


def test_an_unbroken_stretch_of_evaluation_is_one_reading():
    model = nn.Linear(2, 1)
    x = torch.ones(3, 2)
    with EvaluationMode(model) as probe:
        with torch.inference_mode():
            model(x), model(x)
        model(x)
        model.eval()
        with torch.no_grad():
            model(x)
        assert read(probe) == [(1.0, "validation", 2), (0.0, "validation", 1)]
        assert read(probe) == []


def test_an_output_can_still_be_saved(tmp_path):
    model = nn.Linear(2, 1)
    with Mode(model), warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.save(model(torch.ones(3, 2)), tmp_path / "output.pt")


def test_an_output_that_is_a_parameter_keeps_no_hook():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return self.value

    model = Constant()
    with Mode(model):
        model(torch.ones(1))
    assert not model.value._backward_hooks
