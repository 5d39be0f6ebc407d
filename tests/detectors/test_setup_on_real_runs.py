"""What is set up wrongly shows in a real run under watch, and what is set up rightly does not."""

import pytest
import torch
from torch import nn

from fitwell.watch import watch

ROWS = 256


def data(seed=0, rows=ROWS):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 8, generator=generator)
    return x, (x[:, 0] + x[:, 1] > 0).long()


def network(*middle, units=2, last=()):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 32), *middle, nn.ReLU(), nn.Linear(32, units), *last)


def train(
    model,
    loss_fn=None,
    *,
    optimizer=None,
    steps=40,
    batch=32,
    clear=True,
    training=lambda model, step: model.train(),
    evaluating=lambda model: model.eval(),
    inputs=lambda x: x,
    targets=lambda y: y,
    elsewhere=lambda x: x,
):
    """Train under watch with two evaluations; return condition -> severity of the findings."""
    loss_fn = loss_fn or nn.CrossEntropyLoss()
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    (x, y), (others, theirs) = data(), data(1)
    x, y = inputs(x), targets(y)
    with watch(model, optimizer, loss_fn, overhead=1.0) as watching:
        for step in range(steps):
            training(model, step)
            rows = torch.arange(batch * step, batch * (step + 1)) % len(x)
            if clear:
                optimizer.zero_grad()
            loss_fn(model(x[rows]), y[rows]).backward()
            optimizer.step()
            if step % 10 == 9:
                evaluating(model)
                with torch.no_grad():
                    for part in range(0, len(others), 64):
                        seen = elsewhere(inputs(others[part : part + 64]))
                        loss_fn(model(seen), targets(theirs[part : part + 64]))
    return {finding.condition: finding.severity for finding in watching.diagnosis()}


SETUP = (
    "loss_output_mismatch",
    "unscaled_inputs",
    "untrained_parameters",
    "accumulated_gradients",
    "wrong_mode",
    "small_batch_norm",
    "recurrent_batch_norm",
    "distribution_shift",
)


@pytest.mark.parametrize(
    "middle", [(), (nn.BatchNorm1d(32),), (nn.Dropout(0.2),), (nn.LayerNorm(32),)]
)
def test_a_sound_run_has_none_of_them(middle):
    assert not set(SETUP) & set(train(network(*middle)))


def test_softmax_before_cross_entropy():
    found = train(network(last=(nn.Softmax(1),)))
    assert found["loss_output_mismatch"] == "severe"


def test_targets_that_stretch_the_outputs():
    with pytest.warns(UserWarning, match="Using a target size"):
        found = train(network(units=1), nn.MSELoss(), targets=lambda y: y.float())
    assert found["loss_output_mismatch"] == "severe"


def test_raw_inputs():
    assert "unscaled_inputs" in train(network(), inputs=lambda x: 100 * x + 120)
    normed = nn.Sequential(nn.BatchNorm1d(8), network())
    assert "unscaled_inputs" not in train(normed, inputs=lambda x: 100 * x + 120)


def test_a_layer_that_the_optimizer_does_not_hold():
    model = network()
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    assert train(model, optimizer=optimizer)["untrained_parameters"] in ("moderate", "severe")


def test_a_layer_that_is_frozen_on_purpose():
    model = network()
    model[0].requires_grad_(False)
    assert "untrained_parameters" not in train(model)


def test_a_body_that_is_cut_off():
    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(8, 32), nn.Linear(32, 2)

        def forward(self, x):
            return self.head(self.body(x).relu().detach())

    assert train(Cut())["untrained_parameters"] in ("moderate", "severe")


def test_a_rate_of_zero_for_one_layer():
    model = network()
    groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters()}]
    found = train(model, optimizer=torch.optim.SGD(groups, lr=0.1))
    assert found["untrained_parameters"] in ("moderate", "severe")


def test_gradients_that_are_not_cleared():
    assert train(network(), clear=False)["accumulated_gradients"] in ("moderate", "severe")


def test_evaluation_mode_that_is_never_taken_back():
    def once(model, step):
        if step == 0:
            model.train()

    assert train(network(nn.Dropout(0.5)), training=once)["wrong_mode"] == "moderate"
    assert "wrong_mode" not in train(network(), training=once), "the mode does not matter"


def test_evaluations_in_training_mode():
    found = train(network(nn.BatchNorm1d(32)), evaluating=lambda model: None)
    assert found["wrong_mode"] == "moderate"


def test_batch_norm_over_two_rows():
    found = train(network(nn.BatchNorm1d(32)), batch=2, steps=120)
    assert "small_batch_norm" in found


def test_batch_norm_in_a_loop_over_time():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.norm = nn.RNNCell(2, 16), nn.BatchNorm1d(16)
            self.head = nn.Linear(16, 2)

        def forward(self, x):
            h = x.new_zeros(len(x), 16)
            for t in range(0, 8, 2):
                h = self.norm(self.cell(x[:, t : t + 2], h))
            return self.head(h)

    assert "recurrent_batch_norm" in train(Loop())


def test_validation_of_another_scale():
    found = train(network(), elsewhere=lambda x: 5 * x + 20)
    assert found["distribution_shift"] in ("moderate", "severe")
