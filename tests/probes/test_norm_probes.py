import math

import pytest
import torch
from torch import nn

from fitwell.probes import Gradients, Inputs, Updates, Weights, layout_of
from fitwell.records import Quantity
from fitwell.testing import ProbeContract


def network(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def naive(values) -> float:
    """L2 norm by the definition, in double precision."""
    return math.sqrt(sum(float(x) ** 2 for tensor in values for x in tensor.double().flatten()))


def read(probe) -> dict[tuple[Quantity, str], float]:
    return {(r.quantity, r.module): float(r.value) for r in probe.readings()}


class TestGradients(ProbeContract):
    def make(self, model, optimizer):
        return Gradients(layout_of(model)[0], optimizer)


class TestWeights(ProbeContract):
    def make(self, model, optimizer):
        return Weights(layout_of(model)[0], spread=True)

    def test_a_copy_made_meanwhile_works_and_is_not_read(self):
        """It attaches nothing: there is nothing that a copy could carry."""


class TestUpdates(ProbeContract):
    def make(self, model, optimizer):
        return Updates(layout_of(model)[0])


class TestInputs(ProbeContract):
    def make(self, model, optimizer):
        return Inputs(model)


def test_gradient_norms_are_those_of_the_definition():
    model, optimizer = network()
    model(torch.randn(7, 5)).square().sum().backward()
    with Gradients(layout_of(model)[0], optimizer) as probe:
        probe.before_update()
    found = read(probe)
    assert found[Quantity.GRADIENT_NORM, ""] == pytest.approx(
        naive([p.grad for p in model.parameters()]), rel=1e-6
    )
    assert found[Quantity.GRADIENT_NORM, "0"] == pytest.approx(
        naive([model[0].weight.grad]), rel=1e-6
    )
    assert found[Quantity.GRADIENT_NORM, "2"] == pytest.approx(
        naive([model[2].weight.grad]), rel=1e-6
    )


def test_scaled_gradients_are_divided_by_the_scale_of_the_optimizer():
    model, optimizer = network()
    model(torch.randn(7, 5)).sum().backward()
    expected = naive([model[0].weight.grad])
    for p in model.parameters():
        p.grad.mul_(1024.0)
    optimizer.grad_scale = torch.tensor(1024.0)
    with Gradients(layout_of(model)[0], optimizer) as probe:
        probe.before_update()
    assert read(probe)[Quantity.GRADIENT_NORM, "0"] == pytest.approx(expected, rel=1e-6)


def test_parameters_without_a_gradient_are_left_out():
    model, optimizer = network()
    model[0].requires_grad_(False)
    model(torch.randn(7, 5)).sum().backward()
    with Gradients(layout_of(model)[0], optimizer) as probe:
        probe.before_update()
    assert (Quantity.GRADIENT_NORM, "0") not in read(probe)
    assert (Quantity.GRADIENT_NORM, "2") in read(probe)


def test_half_precision_norms_do_not_overflow():
    model = nn.Sequential(nn.Linear(100, 100, bias=False)).half()
    model[0].weight.grad = torch.full((100, 100), 1000.0, dtype=torch.float16)
    with Gradients(layout_of(model)[0]) as probe:
        probe.before_update()
    assert read(probe)[Quantity.GRADIENT_NORM, "0"] == pytest.approx(1e5, rel=1e-4)


def test_sparse_gradients_are_read():
    model = nn.Sequential(nn.Embedding(9, 3, sparse=True))
    model(torch.tensor([1, 1, 4])).sum().backward()
    with Gradients(layout_of(model)[0]) as probe:
        probe.before_update()
    assert read(probe)[Quantity.GRADIENT_NORM, "0"] == pytest.approx(math.sqrt(3 * 4 + 3 * 1))


def test_tied_weights_count_once_in_the_whole_and_in_each_layer():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    nn.init.ones_(model[0].weight)
    with Weights(layout_of(model)[0]) as probe:
        probe.before_update()
    assert read(probe)[Quantity.WEIGHT_NORM, ""] == pytest.approx(3.0)


def test_unit_spread_is_zero_for_units_that_are_alike_and_one_for_centred_ones():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2))
    nn.init.constant_(model[0].weight, 0.3)
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0] * 4, [-1.0] * 4]))
        model[2].weight.zero_()
    with Weights(layout_of(model)[0], spread=True) as probe:
        probe.before_update()
    found = read(probe)
    assert found[Quantity.UNIT_SPREAD, "0"] == pytest.approx(0.0, abs=1e-7)
    assert found[Quantity.UNIT_SPREAD, "1"] == pytest.approx(1.0)
    assert found[Quantity.UNIT_SPREAD, "2"] == 0.0


def test_an_update_is_the_learning_rate_times_the_gradient_for_plain_sgd():
    model, optimizer = network()
    model(torch.randn(7, 5)).square().sum().backward()
    expected = 0.1 * naive([model[0].weight.grad])
    with Updates(layout_of(model)[0]) as probe:
        probe.before_update()
        optimizer.step()
        probe.after_update()
        assert read(probe)[Quantity.UPDATE_NORM, "0"] == pytest.approx(expected, rel=1e-4)


def test_inputs_are_measured_and_rows_of_any_type_counted():
    model = nn.Sequential(nn.Embedding(5, 2))
    with Inputs(model) as probe:
        model(torch.zeros(6, 3, dtype=torch.long))
        assert probe.rows == 6
        assert not tuple(probe.readings())
    linear = nn.Linear(2, 1)
    with Inputs(linear) as probe:
        linear(torch.tensor([[3.0, 4.0]]))
        assert read(probe)[Quantity.INPUT_NORM, ""] == pytest.approx(math.sqrt(12.5))
