"""Dropout stands after hidden activations and acts in training only."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.errors import NotApplicable, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import Dropout
from fitwell.testing import RemedyContract

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))


def treated(model, rate=0.5, x=X):
    return Recipe(Dropout(rate)).apply(model, example_input=x).model


class TestDropout(RemedyContract):
    def make_remedy(self):
        return Dropout(0.3)

    def make_untreatable(self):
        return nn.Sequential(nn.Linear(6, 3), nn.Softmax(1)), X


def test_it_follows_every_hidden_activation_and_not_the_output():
    net = nn.Sequential(
        *(nn.Linear(6, 50), nn.Tanh(), nn.Linear(50, 50), nn.ReLU()),
        *(nn.Linear(50, 2), nn.Sigmoid()),
    )
    new = treated(net, 0.3)
    assert [type(m).__name__ for m in new[1]] == ["Tanh", "Dropout"]
    assert new[3].dropout.p == 0.3
    assert isinstance(new[5], nn.Sigmoid)
    x = torch.randn(200, 6)
    assert (new[:2].train()(x) == 0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert torch.equal(new.eval()(x), net.eval()(x))


class Functional(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.norm = nn.BatchNorm1d(40)
        self.a, self.b = nn.Linear(6, 40), nn.Linear(40, 2)

    def forward(self, x):
        return self.b(self.function(self.norm(self.a(x))))


@pytest.mark.parametrize("function", [F.relu, F.leaky_relu, torch.relu])
def test_before_a_functional_relu_it_acts_exactly_as_after_it(function):
    new = treated(Functional(function), 0.4)
    assert isinstance(new.norm.dropout, nn.Dropout)
    z = torch.randn(9, 40)
    torch.manual_seed(0)
    before = function(F.dropout(z, 0.4))
    torch.manual_seed(0)
    assert torch.allclose(before, F.dropout(function(z), 0.4))


@pytest.mark.parametrize("function", [torch.tanh, F.gelu])
def test_other_functions_are_left_alone_and_named(function):
    with pytest.raises(NotApplicable, match=f"functional {function.__name__}"):
        treated(Functional(function))


def test_whole_channels_are_dropped_after_convolutions():
    net = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(5)),
        *(nn.ReLU(), nn.Linear(5, 2)),
    )
    x = torch.randn(6, 1, 8, 8)
    net(x)
    new = treated(net, x=x)
    assert isinstance(new[1].dropout, nn.Dropout2d)
    assert isinstance(new[5].dropout, nn.Dropout)


def test_layers_that_are_there_get_the_new_rate_and_no_second_one_follows():
    net = nn.Sequential(
        *(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.1), nn.Linear(5, 5), nn.ReLU()),
        nn.Linear(5, 2),
    )
    new = treated(net, 0.6)
    assert new[2].p == 0.6
    assert isinstance(new[1], nn.ReLU)
    assert new[4].dropout.p == 0.6
    assert net[2].p == 0.1


def test_one_relu_in_many_places_is_followed_everywhere():
    act = nn.ReLU()
    net = nn.Sequential(nn.Linear(6, 5), act, nn.Linear(5, 5), act, nn.Linear(5, 2))
    new = treated(net)
    assert new[1] is new[3]
    assert isinstance(new[1].dropout, nn.Dropout)


def test_an_lstm_of_several_layers_drops_between_them():
    net = nn.Sequential(nn.LSTM(6, 3, num_layers=2))
    assert treated(net, 0.2, torch.randn(2, 5, 6))[0].dropout == 0.2
    with pytest.raises(NotApplicable):
        treated(nn.Sequential(nn.LSTM(6, 3)), x=torch.randn(2, 5, 6))


def test_a_transformer_layer_gets_the_new_rate():
    net = nn.TransformerEncoderLayer(6, 2, 12, dropout=0.1, batch_first=True)
    new = treated(nn.Sequential(net), 0.3, torch.randn(2, 5, 6))
    assert (new[0].dropout.p, new[0].dropout1.p, new[0].dropout2.p) == (0.3, 0.3, 0.3)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan"), True, "half"])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ThresholdError, match=r"rate must lie in \[0, 0.99\]"):
        Dropout(rate)
