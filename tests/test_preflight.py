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
    (finding,) = preflight(Two(), ({"x": x}, y), F.cross_entropy)
    assert (finding.condition, finding.severity) == ("untrained_parameters", "mild")
    assert finding.layers == ("unused",)


def test_wrong_arguments_are_refused():
    x, y = batch()
    with pytest.raises(BadInput, match="inputs, targets"):
        preflight(mlp(2, nn.ReLU), x, nn.CrossEntropyLoss())
    with pytest.raises(BadInput, match="requires a gradient"):
        preflight(mlp(2, nn.ReLU).requires_grad_(False), (x, y), nn.CrossEntropyLoss())
    with pytest.raises(BadInput, match=r"torch\.nn\.Module, got str"):
        preflight("model", (x, y), nn.CrossEntropyLoss())
    with pytest.raises(BadInput, match="loss function to call, got 'mse'"):
        preflight(mlp(2, nn.ReLU), (x, y), "mse")
    with pytest.raises(BadInput, match="tuple of 3"):
        preflight(mlp(2, nn.ReLU), (x, y, y), nn.CrossEntropyLoss())
    with pytest.raises(BadInput, match="with rows in it"):
        preflight(mlp(2, nn.ReLU), (x[:0], y[:0]), nn.CrossEntropyLoss())


def conditions(model, x, y, loss_fn, **given):
    return [(f.condition, f.severity) for f in preflight(model, (x, y), loss_fn, **given)]


MISMATCHES = {
    "softmax before cross entropy": (nn.Softmax(1), nn.CrossEntropyLoss(), 5, "classes"),
    "softmax before cross entropy, as a function": (nn.Softmax(1), F.cross_entropy, 5, "classes"),
    "sigmoid before cross entropy": (nn.Sigmoid(), nn.CrossEntropyLoss(), 5, "classes"),
    "sigmoid before BCEWithLogitsLoss": (nn.Sigmoid(), nn.BCEWithLogitsLoss(), 1, "flags"),
    "one unit with cross entropy": (nn.Identity(), nn.CrossEntropyLoss(), 1, "zeros"),
    "softmax over one unit": (nn.Softmax(1), nn.BCELoss(), 1, "flags"),
    "probabilities into NLLLoss": (nn.Softmax(1), nn.NLLLoss(), 5, "classes"),
    "logits into NLLLoss": (nn.Identity(), nn.NLLLoss(), 5, "classes"),
    "logits into BCELoss": (nn.Identity(), nn.BCELoss(), 1, "flags"),
    "ReLU before cross entropy": (nn.ReLU(), nn.CrossEntropyLoss(), 5, "classes"),
    "ReLU on negative targets": (nn.ReLU(), nn.MSELoss(), 1, "amounts"),
    "tanh on larger targets": (nn.Tanh(), nn.MSELoss(), 1, "amounts"),
    "(N, 1) against (N,)": (nn.Identity(), nn.MSELoss(), 1, "flat"),
    "targets of -1 and 1": (nn.Identity(), nn.BCEWithLogitsLoss(), 1, "signs"),
    "more classes than units": (nn.Identity(), nn.CrossEntropyLoss(), 3, "classes"),
    "class numbers with a second axis": (nn.Identity(), nn.CrossEntropyLoss(), 5, "column"),
    "softmax over the batch": (nn.Softmax(0), nn.CrossEntropyLoss(), 5, "classes"),
}

MATCHES = {
    "logits with cross entropy": (nn.Identity(), nn.CrossEntropyLoss(), 5, "classes"),
    "log_softmax with cross entropy": (nn.LogSoftmax(1), nn.CrossEntropyLoss(), 5, "classes"),
    "log_softmax with NLLLoss": (nn.LogSoftmax(1), nn.NLLLoss(), 5, "classes"),
    "sigmoid with BCELoss": (nn.Sigmoid(), nn.BCELoss(), 1, "flags"),
    "logits with BCEWithLogitsLoss": (nn.Identity(), nn.BCEWithLogitsLoss(), 1, "flags"),
    "sigmoids on targets in [0, 1]": (nn.Sigmoid(), nn.MSELoss(), 16, "shares"),
    "a linear output on amounts": (nn.Identity(), nn.MSELoss(), 1, "amounts"),
    "ReLU on positive amounts": (nn.ReLU(), nn.MSELoss(), 1, "positive"),
    "soft targets": (nn.Identity(), nn.CrossEntropyLoss(), 5, "soft"),
    "smoothed targets": (nn.Identity(), nn.CrossEntropyLoss(label_smoothing=0.1), 5, "classes"),
    "distillation": (nn.LogSoftmax(1), nn.KLDivLoss(reduction="batchmean"), 5, "soft"),
    "softmax whose logarithm the loss takes": (
        *(nn.Softmax(1), lambda p, y: F.nll_loss(p.log(), y)),
        *(5, "classes"),
    ),
}


def targets(kind, units, rows=64):
    generator = torch.Generator().manual_seed(3)
    normal = torch.randn(rows, units, generator=generator)
    return {
        "classes": torch.arange(rows) % 5,
        "column": (torch.arange(rows) % 5).unsqueeze(1),
        "zeros": torch.zeros(rows, dtype=torch.long),
        "flags": (normal > 0).float(),
        "signs": normal.sign(),
        "amounts": 2 * normal,
        "positive": normal.abs(),
        "flat": normal[:, 0],
        "shares": normal.sigmoid(),
        "soft": normal.softmax(1),
    }[kind]


def with_output(activation, units):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, units), activation)


@pytest.mark.parametrize("name", MISMATCHES)
def test_output_and_loss_that_do_not_fit_are_named_with_what_to_change(name):
    activation, loss_fn, units, kind = MISMATCHES[name]
    x, _ = batch()
    diagnosis = preflight(with_output(activation, units), (x, targets(kind, units)), loss_fn)
    first = diagnosis.findings[0]
    assert (first.condition, first.severity) == ("loss_output_mismatch", "severe")
    assert first.advice.endswith(".")
    assert first.phrase


@pytest.mark.parametrize("name", MATCHES)
def test_output_and_loss_that_fit_are_left_in_peace(name):
    activation, loss_fn, units, kind = MATCHES[name]
    x, _ = batch()
    assert conditions(with_output(activation, units), x, targets(kind, units), loss_fn) == []


def test_any_other_exception_of_the_loss_is_a_finding_as_well():
    def loss_fn(outputs, targets):
        return (outputs @ targets).sum()

    x, y = batch()
    (finding,) = preflight(mlp(2, nn.Tanh), (x, y.float()), loss_fn)
    assert finding.condition == "loss_output_mismatch"
    assert "RuntimeError" in finding.explanation


def test_a_loss_that_is_no_tensor_is_refused():
    with pytest.raises(BadInput, match="return a tensor, got float"):
        preflight(mlp(2, nn.Tanh), batch(), lambda outputs, targets: 1.0)


def test_an_exception_of_the_network_is_its_own():
    with pytest.raises(RuntimeError, match="shapes"):
        preflight(mlp(2, nn.Tanh), (torch.randn(4, 3), torch.zeros(4).long()), F.cross_entropy)


def test_a_loss_of_several_terms_is_not_held_against_a_guess():
    def loss_fn(outputs, targets):
        return F.cross_entropy(outputs, targets) + 100 * outputs.square().mean()

    x, y = batch()
    trace = first_step(mlp(2, nn.Tanh), (x, y), loss_fn)
    assert trace.facts.loss_expects == "logits"
    assert trace.facts.chance_loss is None
    alone = first_step(mlp(2, nn.Tanh), (x, y), lambda o, t: F.cross_entropy(o, t))
    assert alone.facts.chance_loss == pytest.approx(1.609, abs=1e-3)


def test_a_sum_over_the_rows_is_held_against_a_guess_a_row():
    x, y = batch()
    model = mlp(2, nn.Tanh)
    summed = first_step(model, (x, y), nn.CrossEntropyLoss(reduction="sum"))
    mean = first_step(model, (x, y), nn.CrossEntropyLoss())
    (one,), (other,) = (t.series(Quantity.LOSS) for t in (summed, mean))
    assert one == pytest.approx(other)


def test_a_loss_that_the_network_computes_itself_is_heard():
    class WithLoss(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(16, 5)

        def forward(self, x, labels):
            logits = self.head(x).softmax(-1)
            return F.cross_entropy(logits, labels), logits

    x, y = batch()
    (finding,) = preflight(WithLoss(), ({"x": x, "labels": y}, y), lambda out, _: out[0])
    assert finding.condition == "loss_output_mismatch"


def test_an_output_layer_that_is_too_large_is_named():
    model = mlp(2, nn.Tanh)
    nn.init.normal_(model[-1].weight, 0.0, 5.0)
    (finding,) = (f for f in preflight(model, batch(), F.cross_entropy) if f.cause is None)
    assert finding.condition == "bad_initialization"
    assert finding.layers == ("4",)
    assert finding.evidence["first_loss"] > 3


def test_raw_inputs_are_named_and_those_that_are_normalised_first_are_not():
    x, y = batch()
    raw = (x.abs() * 100).clamp(max=255)
    plain = mlp(2, nn.ReLU)
    assert conditions(plain, raw, y, F.cross_entropy)[0] == ("unscaled_inputs", "moderate")
    normed = nn.Sequential(nn.BatchNorm1d(16), *mlp(2, nn.ReLU))
    assert conditions(normed, raw, y, F.cross_entropy) == []


def test_alike_units_are_named():
    model = mlp(2, nn.Tanh)
    for layer in (0, 2):
        nn.init.constant_(model[layer].weight, 0.1)
        nn.init.zeros_(model[layer].bias)
    found = preflight(model, batch(), F.cross_entropy)
    assert found.conditions[0] == "bad_initialization"
    assert "alike" in found.findings[0].evidence


def test_layers_that_no_gradient_reaches_are_named():
    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(16, 8), nn.Linear(8, 5)

        def forward(self, x):
            return self.head(self.body(x).tanh().detach())

    (finding,) = preflight(Cut(), batch(), F.cross_entropy)
    assert (finding.condition, finding.severity) == ("untrained_parameters", "severe")
    assert finding.layers == ("body",)


def test_a_loss_without_a_way_back_is_named():
    x, y = batch()
    found = preflight(mlp(2, nn.Tanh), (x, y), lambda o, t: F.cross_entropy(o.detach(), t))
    assert found.conditions[0] == "untrained_parameters"
    assert found.findings[0].layers == ("0", "2", "4")


@pytest.mark.parametrize(("rows", "severity"), [(3, "severe"), (10, "moderate"), (32, None)])
def test_batch_norm_is_judged_by_its_rows(rows, severity):
    model = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 5))
    found = dict(conditions(model, *batch(rows), F.cross_entropy))
    assert found.get("small_batch_norm") == severity


def test_batch_norm_over_one_row_is_a_finding_and_no_crash():
    model = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 5))
    (finding,) = preflight(model, batch(1), F.cross_entropy)
    assert (finding.condition, finding.severity) == ("small_batch_norm", "severe")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_batch_norm_in_a_recurrence_is_named():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.norm, self.head = nn.RNNCell(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 5)

        def forward(self, x):
            h = x.new_zeros(len(x), 8)
            for t in range(4):
                h = self.norm(self.cell(x[:, 4 * t : 4 * t + 4], h))
            return self.head(h)

    assert ("recurrent_batch_norm", "severe") in conditions(Net(), *batch(), F.cross_entropy)


def test_conditions_can_be_muted():
    x, y = batch()
    model = with_output(nn.Softmax(1), 5)
    assert conditions(model, x, y, nn.CrossEntropyLoss(), mute=["loss_output_mismatch"]) == []
    with pytest.raises(BadInput, match="got 'typo': expected one of"):
        preflight(model, (x, y), nn.CrossEntropyLoss(), mute=["typo"])
    with pytest.raises(BadInput, match=r"write \['dead_units'\]"):
        preflight(model, (x, y), nn.CrossEntropyLoss(), mute="dead_units")
