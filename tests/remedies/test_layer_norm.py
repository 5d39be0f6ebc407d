"""Layer normalisation before activations and inside recurrent layers, by its formula."""

import numpy as np
import pytest
import torch
from torch import nn

from fitwell.errors import NotApplicable
from fitwell.modules import Recurrent, RecurrentCell
from fitwell.recipe import Recipe
from fitwell.remedies import LayerNorm
from fitwell.testing import RemedyContract

X = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
STEPS = torch.randn(4, 7, 6, generator=torch.Generator().manual_seed(0))


def treated(model, x=X):
    return Recipe(LayerNorm()).apply(model, example_input=x).model


class Last(nn.Module):
    """Classifies by the output of the last step."""

    def __init__(self, rnn, units=5):
        super().__init__()
        self.rnn, self.out = rnn, nn.Linear(units, 3)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


class Looped(nn.Module):
    """Calls a cell once a step."""

    def __init__(self, cell):
        super().__init__()
        self.cell, self.out = cell, nn.Linear(5, 3)

    def forward(self, x):
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.out(state[0] if isinstance(state, tuple) else state)


class TestLayerNorm(RemedyContract):
    def make_remedy(self):
        return LayerNorm(eps=1e-3)

    def make_untreatable(self):
        return nn.Sequential(nn.Linear(4, 3)), torch.randn(2, 4)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
class TestLayerNormInLSTM(RemedyContract):
    def make_remedy(self):
        return LayerNorm(eps=1e-3)

    def make_model(self):
        return Last(nn.LSTM(6, 5, num_layers=2, batch_first=True))

    def make_batch(self):
        return STEPS, torch.arange(4) % 3

    def make_untreatable(self):
        return Last(nn.LSTM(6, 5, batch_first=True, proj_size=2), 2), STEPS


class TestLayerNormInCell(RemedyContract):
    def make_remedy(self):
        return LayerNorm()

    def make_model(self):
        return Looped(nn.LSTMCell(6, 5))

    def make_batch(self):
        return STEPS, torch.arange(4) % 3


class TestLayerNormForBatchNorm(RemedyContract):
    def make_remedy(self):
        return LayerNorm()

    def make_model(self):
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def test_every_sample_has_mean_0_and_deviation_1_over_the_features():
    net = mlp()
    new = treated(net)
    z = net[0](X).detach().numpy()
    expected = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
    assert np.allclose(new[0](X).detach().numpy(), expected, atol=1e-5)
    assert isinstance(new[2], nn.Linear)


def test_convolutions_are_normalised_over_channels_and_space_together():
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))
    x = torch.randn(3, 2, 5, 5)
    new = treated(net, x)
    z = net[0](x).detach().numpy().reshape(3, -1)
    expected = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
    assert np.allclose(new[0](x).detach().numpy().reshape(3, -1), expected, atol=1e-5)
    assert new[0].norm.weight.shape == (4,)


def test_steps_of_a_sequence_are_normalised_each_by_itself():
    assert isinstance(treated(mlp(), torch.randn(2, 7, 6))[0].norm, nn.LayerNorm)


RECURRENT = {
    "LSTM": nn.LSTM(6, 5, batch_first=True),
    "GRU": nn.GRU(6, 5, num_layers=2, bidirectional=False, batch_first=True, dropout=0.2),
    "RNN_RELU": nn.RNN(6, 5, nonlinearity="relu", batch_first=True, bias=False),
    "RNN_TANH": nn.RNN(6, 5, batch_first=True),
}


@pytest.mark.parametrize("mode", RECURRENT)
def test_a_recurrent_layer_keeps_its_weights_and_its_options_and_is_normalised(mode):
    old = RECURRENT[mode]
    net = Last(old).double().eval()
    new = treated(net, STEPS.double()).rnn
    assert isinstance(new, Recurrent)
    assert (new.mode, new.norm, new.training) == (mode, True, False)
    for name in ("num_layers", "bias", "batch_first", "dropout", "bidirectional"):
        assert getattr(new, name) == getattr(old, name)
    for name, weight in old.named_parameters():
        assert torch.equal(new.get_parameter(name), weight)
        assert new.get_parameter(name).dtype == torch.float64
    assert any(name.startswith("gain") for name, _ in new.named_parameters())


@pytest.mark.parametrize(
    ("cell", "mode"),
    [
        (nn.LSTMCell(6, 5), "LSTM"),
        (nn.GRUCell(6, 5, bias=False), "GRU"),
        (nn.RNNCell(6, 5, nonlinearity="relu"), "RNN_RELU"),
    ],
)
def test_a_cell_is_normalised_at_every_step(cell, mode):
    new = treated(Looped(cell), STEPS).cell
    assert isinstance(new, RecurrentCell)
    assert (new.mode, new.bias) == (mode, cell.bias)
    assert torch.equal(new.weight_hh, cell.weight_hh)


def test_normalising_twice_is_refused():
    new = treated(Last(nn.LSTM(6, 5, batch_first=True)), STEPS)
    with pytest.raises(NotApplicable, match="rnn is normalised at every step already"):
        treated(new, STEPS)


class Mine(nn.LSTM):
    def forward(self, x, hx=None):
        return super().forward(2 * x, hx)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_recurrent_layers_that_do_something_of_their_own_are_refused_with_the_reason():
    with pytest.raises(NotApplicable, match="rnn is Mine, whose steps are of its own making"):
        treated(Last(Mine(6, 5, batch_first=True)), STEPS)
    with pytest.raises(NotApplicable, match="rnn projects its state"):
        treated(Last(nn.LSTM(6, 5, batch_first=True, proj_size=2), 2), STEPS)


def test_a_layer_whose_weights_are_read_from_outside_is_refused():
    class Peeking(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.act = nn.Linear(6, 5), nn.Linear(5, 2), nn.ReLU()

        def forward(self, x):
            return self.b(self.act(self.a(x))) + self.a.weight.sum()

    with pytest.raises(NotApplicable, match="its own code relies on what would change") as refusal:
        treated(Peeking())
    assert "forward() reads .weight of a layer" in str(refusal.value)
    assert "Linear(in_features=6, out_features=5" in str(refusal.value)
