"""Batch normalisation stands between layer and activation, and does what its formula says."""

import numpy as np
import pytest
import torch
from torch import nn

from fitwell.errors import NotApplicable, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import BatchNorm
from fitwell.testing import RemedyContract

X = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))


def treated(model, x=X):
    return Recipe(BatchNorm()).apply(model, example_input=x).model


class TestBatchNorm(RemedyContract):
    def make_remedy(self):
        return BatchNorm(momentum=0.3)

    def make_untreatable(self):
        return nn.Sequential(nn.LSTM(4, 3)), torch.randn(2, 5, 4)


class TestBatchNormForLayerNorm(RemedyContract):
    def make_remedy(self):
        return BatchNorm()

    def make_model(self):
        return nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 3))

    def make_untreatable(self):
        return nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3)), torch.randn(2, 5, 4)


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def test_every_unit_has_mean_0_and_deviation_1_over_the_batch():
    net = mlp()
    new = treated(net).train()
    z = net[0](X).detach().numpy()
    expected = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
    assert np.allclose(new[0](X).detach().numpy(), expected, atol=1e-5)


def test_the_output_layer_gets_none():
    new = treated(mlp())
    assert isinstance(new[0], nn.Sequential)
    assert isinstance(new[2], nn.Linear)


@pytest.mark.parametrize(
    ("conv", "norm", "space"),
    [
        (nn.Conv1d, nn.BatchNorm1d, 1),
        (nn.Conv2d, nn.BatchNorm2d, 2),
        (nn.Conv3d, nn.BatchNorm3d, 3),
    ],
)
def test_convolutions_are_normalised_by_channel(conv, norm, space):
    net = nn.Sequential(conv(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    x = torch.randn(3, 2, *([5] * space))
    net(x)
    new = treated(net, x)
    assert isinstance(new[0].norm, norm)
    out = new[0].train()(x).detach().transpose(0, 1).reshape(4, -1)
    assert torch.allclose(out.mean(1), torch.zeros(4), atol=1e-5)


def test_what_is_normalised_already_is_left_alone():
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    with pytest.raises(NotApplicable, match="followed by a normalisation already") as refusal:
        treated(net)
    assert "1 is a batch normalisation already" in str(refusal.value)


@pytest.mark.parametrize("function", [torch.tanh, nn.functional.gelu])
def test_an_activation_may_be_a_function(function):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 5), nn.Linear(5, 2)

        def forward(self, x):
            return self.b(function(self.a(x)))

    assert isinstance(treated(Net()).a.norm, nn.BatchNorm1d)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.act, self.out = nn.ReLU(), nn.Linear(3, 2)

    def forward(self, x):
        x = self.act(x + self.b(self.act(self.a(x))))
        return self.out(x.mean((2, 3)))


def test_both_convolutions_of_a_residual_block_are_normalised_inside_it():
    new = treated(Block(), torch.randn(2, 3, 4, 4))
    assert isinstance(new.a.norm, nn.BatchNorm2d)
    assert isinstance(new.b.norm, nn.BatchNorm2d)


def test_steps_of_a_sequence_take_none():
    with pytest.raises(NotApplicable, match="works on sequences"):
        treated(mlp(), torch.randn(2, 7, 6))


def test_steps_that_were_flattened_into_rows_take_none_either():
    class Flattened(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp()

        def forward(self, x):
            return self.net(x.flatten(0, 1)).view(*x.shape[:2], -1)

    with pytest.raises(NotApplicable, match=r"net\.0 works on 14 rows that are not the samples"):
        treated(Flattened(), torch.randn(2, 7, 6))


def test_a_layer_called_several_times_takes_none():
    layer, act = nn.Linear(6, 6), nn.ReLU()
    with pytest.raises(NotApplicable, match="called several times"):
        treated(nn.Sequential(layer, act, layer, act, nn.Linear(6, 2)))


def test_recurrent_networks_are_refused_with_the_reason():
    with pytest.raises(NotApplicable, match="is recurrent: the statistics of its state differ"):
        treated(nn.Sequential(nn.GRU(6, 3)))


@pytest.mark.parametrize("momentum", [0.0, 1.01, float("nan")])
def test_a_momentum_out_of_range_is_refused(momentum):
    with pytest.raises(ThresholdError, match="momentum"):
        BatchNorm(momentum)


class GraphNet(nn.Module):
    """The product with the edges stands between a layer and its activation."""

    def __init__(self):
        super().__init__()
        self.one, self.out = nn.Linear(6, 5), nn.Linear(5, 2)
        self.register_buffer("edges", torch.eye(16) + torch.eye(16).roll(1, 0))

    def forward(self, x):
        return self.out(torch.relu(self.edges @ self.one(x)))


def test_a_layer_of_a_graph_network_is_normalised_before_the_edges():
    names = [name for name, _ in treated(GraphNet()).one.named_children()]
    assert names == ["layer", "norm"]
