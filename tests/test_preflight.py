import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.errors import BadInput
from fitwell.preflight import first_step, preflight
from fitwell.records import Quantity


def mlp(depth, activation, width=32, std=None):
    torch.manual_seed(0)
    layers = []
    for inputs in [16, *[width] * (depth - 1)]:
        layers += [nn.Linear(inputs, width), activation()]
        if std is not None:
            nn.init.normal_(layers[-2].weight, 0.0, std)
    return nn.Sequential(*layers, nn.Linear(width, 5))


def batch(rows=64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, 16, generator=generator), torch.arange(rows) % 5


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU, nn.Sigmoid])
def test_a_sound_network_has_no_finding(activation):
    diagnosis = preflight(mlp(2, activation), batch(), nn.CrossEntropyLoss())
    assert diagnosis.healthy, str(diagnosis)


def test_twenty_layers_of_sigmoid_vanish():
    diagnosis = preflight(mlp(20, nn.Sigmoid), batch(), nn.CrossEntropyLoss())
    assert diagnosis.conditions == ("vanishing_gradients",)
    finding = diagnosis.findings[0]
    assert finding.layers[0] == "0"
    assert finding.since is None
    assert "of the one at 40" in finding.explanation
    assert "hardly learn" in finding.explanation
    assert "Activation" in [spec.name for spec in finding.remedies]


def test_weights_that_are_too_large_explode_and_are_named_as_the_cause():
    diagnosis = preflight(mlp(20, nn.ReLU, std=0.6), batch(), nn.CrossEntropyLoss())
    assert diagnosis.conditions[0] == "bad_initialization"
    causes = {f.condition: f.cause and f.cause.condition for f in diagnosis}
    assert causes["exploding_gradients"] == "bad_initialization"


def test_a_layer_that_is_dead_from_the_start_is_named():
    model = mlp(2, nn.ReLU)
    nn.init.constant_(model[0].bias, -50.0)
    diagnosis = preflight(model, batch(), nn.CrossEntropyLoss())
    assert "dead_units" in diagnosis.conditions
    assert diagnosis.findings[0].layers[0] == "0"


def test_nan_in_the_weights_is_found():
    model = mlp(2, nn.ReLU)
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    assert "non_finite" in preflight(model, batch(), nn.CrossEntropyLoss()).conditions


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm, self.drop = nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)
        self.b = nn.Linear(8, 5)

    def forward(self, x):
        return self.b(self.drop(F.relu(self.norm(self.a(x)), inplace=True)))


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_exactly_as_it_was(training):
    model = Noisy().train(training)
    kept = torch.ones_like(model.a.weight)
    model.a.weight.grad = kept
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.random.get_rng_state()
    with torch.no_grad():
        preflight(model, batch(), nn.CrossEntropyLoss())
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert model.a.weight.grad is kept
    assert torch.equal(kept, torch.ones_like(kept))
    assert model.b.weight.grad is None
    assert model.training is training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_its_gradients_are_those_of_a_plain_backward_pass():
    model, (x, y) = mlp(3, nn.Tanh), batch()
    trace = first_step(model, (x, y), nn.CrossEntropyLoss())
    F.cross_entropy(model(x), y).backward()
    for name in ("0", "2", "6"):
        expected = model.get_submodule(name).weight.grad.norm().item()
        assert trace.series(Quantity.GRADIENT_NORM, name) == [(0, pytest.approx(expected))]


def test_inputs_may_be_keywords_and_parameters_frozen_or_unused():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(16, 5), nn.Linear(16, 5)
            self.frozen = nn.Linear(16, 16).requires_grad_(False)

        def forward(self, *, x):
            return self.used(self.frozen(x))

    x, y = batch()
    assert preflight(Two(), ({"x": x}, y), F.cross_entropy).healthy


def test_wrong_arguments_are_refused():
    x, y = batch()
    with pytest.raises(BadInput, match="inputs, targets"):
        preflight(mlp(2, nn.ReLU), x, nn.CrossEntropyLoss())
    with pytest.raises(BadInput, match="requires a gradient"):
        preflight(mlp(2, nn.ReLU).requires_grad_(False), (x, y), nn.CrossEntropyLoss())
