import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fitwell.anatomy import inspect
from fitwell.probes import Activations, layout_of
from fitwell.records import Quantity
from fitwell.testing import ProbeContract


class TestActivations(ProbeContract):
    def make(self, model, optimizer):
        anatomy = inspect(model, torch.zeros(4, 6))
        return Activations(model, layout_of(model, anatomy)[0])


class TestActivationsOfAnUnknownNetwork(ProbeContract):
    def make(self, model, optimizer):
        probe = Activations(model, None)
        self.pending = probe, model
        return _Resolved(probe, model)


class _Resolved:
    """Sets the layout after the forward pass, as a watch does in its first step."""

    def __init__(self, probe, model):
        self._probe, self._model = probe, model

    def __enter__(self):
        self._probe.__enter__()
        return self

    def __exit__(self, *failure):
        self._probe.__exit__(*failure)

    def before_update(self):
        pass

    def after_update(self):
        pass

    def readings(self):
        self._probe.__exit__(None, None, None)
        anatomy = inspect(self._model, torch.zeros(4, 6))
        self._probe.layout = layout_of(self._model, anatomy)[0]
        return self._probe.readings()


def probe_of(model: nn.Module, example: Tensor, **kwargs) -> Activations:
    return Activations(model, layout_of(model, inspect(model, example))[0], **kwargs)


def read(model, *inputs, probe=None, **kwargs) -> dict[tuple[Quantity, str], tuple[float, int]]:
    probe = probe or probe_of(model, inputs[0], **kwargs)
    with probe:
        for x in inputs:
            model(x)
    return {(r.quantity, r.module): (float(r.value), r.count) for r in probe.readings()}


def identity(units: int) -> nn.Linear:
    layer = nn.Linear(units, units)
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def with_relu() -> nn.Module:
    return nn.Sequential(identity(4), nn.ReLU(), nn.Linear(4, 2))


class Functional(nn.Module):
    """A ReLU as a function, behind a normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.norm, self.out = identity(4), nn.LayerNorm(4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.norm(self.hidden(x))))


DEAD = torch.tensor([[1.0, -1.0, 0.0, 2.0], [-1.0, -3.0, -1.0, 1.0]])


def test_a_unit_is_dead_if_its_input_is_at_most_zero_for_every_sample():
    assert read(with_relu(), DEAD)[Quantity.DEAD_SHARE, "0"] == (0.5, 2)


def test_a_functional_relu_is_read_at_the_normalisation_before_it():
    model = Functional()
    with torch.no_grad():
        model.norm.bias.copy_(torch.tensor([-9.0, -9.0, -9.0, 9.0]))
    found = read(model, DEAD)
    assert found[Quantity.DEAD_SHARE, "hidden"] == (0.75, 2)


def test_an_in_place_relu_is_read_before_it_writes():
    model = nn.Sequential(identity(4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    found = read(model, DEAD)
    assert found[Quantity.OUTPUT_RMS, "0"][0] == pytest.approx(DEAD.square().mean().sqrt().item())


def test_units_of_a_convolution_are_its_channels():
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1.0, 0.0]).reshape(3, 1, 1, 1))
        model[0].bias.zero_()
    image = torch.zeros(2, 1, 2, 2)
    image[0, 0, 1, 1] = 1.0
    assert read(model, image)[Quantity.DEAD_SHARE, "0"] == (pytest.approx(2 / 3), 2)


def test_samples_of_several_steps_are_pooled():
    model = with_relu()
    probe = probe_of(model, DEAD)
    rows = [torch.eye(4)[i : i + 1] for i in range(4)]
    shares = [read(model, x, probe=probe)[Quantity.DEAD_SHARE, "0"] for x in rows]
    assert shares == [(0.75, 1), (0.5, 2), (0.25, 3), (0.0, 4)]


def test_a_unit_counts_as_dead_after_a_window_of_silence():
    model = with_relu()
    probe = probe_of(model, DEAD, window=3)
    steps = [torch.ones(1, 4), *[-torch.ones(1, 4)] * 3]
    shares = [read(model, x, probe=probe)[Quantity.DEAD_SHARE, "0"][0] for x in steps]
    assert shares == [0.0, 0.0, 0.0, 1.0]


def test_a_leaky_unit_is_never_dead():
    model = nn.Sequential(identity(4), nn.LeakyReLU(), nn.Linear(4, 2))
    assert (Quantity.DEAD_SHARE, "0") not in read(model, DEAD)


@pytest.mark.parametrize(("kind", "limit"), [(nn.Sigmoid, 4.6), (nn.Tanh, 2.65)])
def test_the_slope_beyond_the_limit_is_below_what_the_docstring_says(kind, limit):
    z = torch.tensor([[limit - 0.1, limit + 0.1, -limit - 0.1, 0.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(kind()(z).sum(), z)
    flat = slope < (0.01 if kind is nn.Sigmoid else 0.02)
    model = nn.Sequential(identity(4), kind(), nn.Linear(4, 2))
    share, _ = read(model, z.detach().repeat(2, 1))[Quantity.SATURATED_SHARE, "0"]
    assert share == flat.float().mean().item() == 0.5


def test_a_recurrent_layer_is_judged_on_what_it_puts_out():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.RNN(1, 2, batch_first=True), nn.Linear(2, 2)

        def forward(self, x):
            return self.out(self.rnn(x)[0][:, -1])

    model = Last()
    with torch.no_grad():
        model.rnn.weight_ih_l0.copy_(torch.tensor([[100.0], [0.01]]))
        for name in ("weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            getattr(model.rnn, name).zero_()
    share, _ = read(model, torch.ones(3, 5, 1))[Quantity.SATURATED_SHARE, "rnn"]
    assert share == 0.5


def test_the_signal_is_the_deviation_over_the_batch_even_beside_a_large_mean():
    model = nn.Sequential(identity(3), nn.Linear(3, 1))
    torch.manual_seed(0)
    x = 1000.0 + 1e-2 * torch.randn(64, 3)
    expected = x.double().var(0, unbiased=False).mean().sqrt().item()
    assert read(model, x)[Quantity.SIGNAL_RMS, "0"][0] == pytest.approx(expected, rel=1e-3)


def test_a_module_used_twice_is_pooled_over_its_calls():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.out = identity(2), nn.Linear(2, 1)

        def forward(self, x):
            return self.out(torch.relu(self.layer(torch.relu(self.layer(x)))))

    found = read(Twice(), torch.tensor([[3.0, -4.0], [3.0, -4.0]]))
    mean_square = (9 + 16 + 9 + 0) / 4
    assert found[Quantity.OUTPUT_RMS, "layer"][0] == pytest.approx(math.sqrt(mean_square))


def test_an_evaluation_is_not_read():
    model = with_relu()
    probe = probe_of(model, DEAD)
    with probe, torch.no_grad():
        model(DEAD)
    assert not tuple(probe.readings())
