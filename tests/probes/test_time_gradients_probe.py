"""Gradients over time, against a loop that is written out."""

import pytest
import torch
from torch import nn

from fitwell.probes import TimeGradients
from fitwell.records import Quantity
from fitwell.testing import ProbeContract


class Recurrent(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.out = layer, nn.Linear(5, 1)

    def forward(self, x):
        return self.out(self.layer(x.reshape(len(x), 3, 2))[0][:, -1])


class TestTimeGradients(ProbeContract):
    def make(self, model, optimizer):
        return TimeGradients(model)

    def network(self):
        return Recurrent(nn.LSTM(2, 5, 2, dropout=0.5, batch_first=True))


def read(model, loss):
    with TimeGradients(model) as probe:
        loss().backward()
        probe.before_update()
        found = list(probe.readings())
    assert {r.quantity for r in found} <= {Quantity.TIME_GRADIENT}
    return {(r.module, r.call): float(r.value) for r in found}


def naive(model, x, loss_of) -> list[float]:
    """Norms over time of the gradient with respect to the input, by asking for all of it."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(model(x)), x)
    return gradient


KINDS = [nn.RNN, nn.LSTM, nn.GRU]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_hidden_steps_have_the_gradient_of_the_input_at_each(kind, batch_first, bidirectional):
    torch.manual_seed(0)
    layer = kind(2, 3, 2, batch_first=batch_first, bidirectional=bidirectional)
    time = 1 if batch_first else 0
    x = torch.randn(4, 4, 2)

    def loss_of(output):
        sequence, state = output
        state = state[0] if isinstance(state, tuple) else state
        return sequence.select(time, 2).square().sum() + state.sum()

    model = nn.Sequential(layer)
    gradient = naive(model, x, loss_of)
    found = read(model, lambda: loss_of(model(x)))
    expected = [float(gradient.select(time, t).norm()) for t in range(4)]
    assert found == {("0", t): pytest.approx(expected[t], rel=1e-4) for t in range(4)}


def test_a_given_first_state_is_used():
    torch.manual_seed(0)
    layer = nn.GRU(2, 3, batch_first=True)
    x, state = torch.randn(4, 5, 2), 3 * torch.randn(1, 4, 3)
    taken = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(layer(taken, state)[0].square().sum(), taken)
    found = read(layer, lambda: layer(x, hx=state)[0].square().sum())
    expected = gradient.norm(dim=(0, 2)).tolist()
    assert [found["", t] for t in range(5)] == pytest.approx(expected, rel=1e-4)


def test_only_eight_rows_are_run_again():
    layer = nn.RNN(2, 3, batch_first=True)
    x = torch.randn(64, 5, 2)
    seen = []
    handle = layer.register_forward_pre_hook(lambda m, args: seen.append(len(args[0])))
    found = read(layer, lambda: layer(x)[0][:8].sum())
    handle.remove()
    assert found == pytest.approx(read(layer, lambda: layer(x[:8])[0].sum()), rel=1e-4)
    assert seen == [64]


def test_cells_in_a_loop_have_the_gradient_of_each_state():
    torch.manual_seed(0)
    cell = nn.RNNCell(2, 3)
    states = []

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = cell

        def forward(self, x):
            h = torch.zeros(len(x), 3)
            states.clear()
            for t in range(4):
                h = self.cell(x[:, t], h)
                h.retain_grad()
                states.append(h)
            return h

    model, x = Loop(), torch.randn(6, 4, 2)
    found = read(model, lambda: model(x).square().sum())
    expected = {("cell", t): pytest.approx(float(h.grad.norm())) for t, h in enumerate(states)}
    assert found == expected


def test_a_looped_layer_has_the_gradient_of_what_it_put_out_each_time():
    torch.manual_seed(0)
    layer, made = nn.Linear(2, 2), []

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.step = layer

        def forward(self, x):
            made.clear()
            for _ in range(4):
                x = self.step(torch.tanh(x))
                x.retain_grad()
                made.append(x)
            return x

    model = Loop()
    probe = TimeGradients(model)
    probe.looped = frozenset({"step"})
    with probe:
        model(torch.randn(6, 2)).square().sum().backward()
        probe.before_update()
        found = [(r.module, r.call, float(r.value)) for r in probe.readings()]
    assert found == [("step", t, pytest.approx(float(x.grad.norm()))) for t, x in enumerate(made)]


def test_a_long_sequence_is_told_of_at_64_steps_with_the_last_one():
    layer = nn.RNN(1, 2, batch_first=True)
    found = read(layer, lambda: layer(torch.randn(2, 300, 1))[0].sum())
    calls = [call for _, call in found]
    assert len(calls) == 64
    assert (calls[0], calls[-1]) == (0, 299)


def test_a_gradient_that_a_scaler_made_infinite_is_none():
    layer = nn.RNN(1, 2, batch_first=True)
    found = read(layer, lambda: (layer(torch.ones(2, 3, 1))[0] * float("inf")).sum())
    assert set(found.values()) == {0.0}


def test_gradients_of_the_weights_are_left_alone():
    layer = nn.RNN(2, 3, batch_first=True)
    x = torch.randn(4, 5, 2)
    layer(x)[0].sum().backward()
    before = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    read(layer, lambda: layer(x)[0].sum())
    assert all(torch.equal(a, p.grad) for a, p in zip(before, layer.parameters(), strict=True))


def test_it_acts_on_few_steps_and_then_on_ever_rarer_ones():
    layer, now, acted = nn.RNN(1, 2, batch_first=True), [0], []
    probe = TimeGradients(layer, clock=lambda: now[0])
    for step in range(200):
        now[0] = step
        with probe:
            if layer._forward_hooks:
                acted.append(step)
    assert acted == [0, 5, 20, 40, 80, 160]


def test_packed_sequences_are_left_out():
    layer = nn.GRU(2, 3, batch_first=True)
    packed = nn.utils.rnn.pack_padded_sequence(
        torch.randn(3, 4, 2), torch.tensor([4, 3, 1]), batch_first=True
    )
    assert not read(layer, lambda: layer(packed)[0].data.sum())
