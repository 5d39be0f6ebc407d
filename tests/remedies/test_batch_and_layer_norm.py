"""Normalisation stands between layer and activation, and does what its formula says."""

import numpy as np
import pytest
import torch
from torch import nn

from fitwell.errors import NotApplicable, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import BatchNorm, LayerNorm
from fitwell.testing import RemedyContract

X = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))


def treated(model, remedy, x=X):
    return Recipe(remedy).apply(model, example_input=x).model


class TestBatchNorm(RemedyContract):
    def make_remedy(self):
        return BatchNorm(momentum=0.3)

    def make_untreatable(self):
        return nn.Sequential(nn.LSTM(4, 3)), torch.randn(2, 5, 4)


class TestLayerNorm(RemedyContract):
    def make_remedy(self):
        return LayerNorm(eps=1e-3)

    def make_untreatable(self):
        return nn.Sequential(nn.Linear(4, 3)), torch.randn(2, 4)


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def test_batch_norm_gives_every_unit_mean_0_and_deviation_1_over_the_batch():
    net = mlp()
    new = treated(net, BatchNorm()).train()
    z = net[0](X).detach().numpy()
    expected = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
    assert np.allclose(new[0](X).detach().numpy(), expected, atol=1e-5)


def test_layer_norm_gives_every_sample_mean_0_and_deviation_1_over_the_features():
    net = mlp()
    new = treated(net, LayerNorm())
    z = net[0](X).detach().numpy()
    expected = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
    assert np.allclose(new[0](X).detach().numpy(), expected, atol=1e-5)


def test_the_output_layer_gets_none():
    for remedy in (BatchNorm(), LayerNorm()):
        new = treated(mlp(), remedy)
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
def test_convolutions_are_normalised_by_channel_or_as_one_group(conv, norm, space):
    net = nn.Sequential(conv(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    x = torch.randn(3, 2, *([5] * space))
    net(x)
    assert isinstance(treated(net, BatchNorm(), x)[0].norm, norm)
    group = treated(net, LayerNorm(), x)[0].norm
    assert (group.num_groups, group.num_channels) == (1, 4)
    out = treated(net, LayerNorm(), x)[0](x).detach().numpy()
    assert np.allclose(out.reshape(3, -1).mean(1), 0, atol=1e-5)


def test_what_is_normalised_already_is_left_alone():
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    for remedy in (BatchNorm(), LayerNorm()):
        with pytest.raises(NotApplicable, match="followed by a normalisation already"):
            treated(net, remedy)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.act, self.out = nn.ReLU(), nn.Linear(3, 2)

    def forward(self, x):
        x = self.act(x + self.b(self.act(self.a(x))))
        return self.out(x.mean((2, 3)))


def test_both_convolutions_of_a_residual_block_are_normalised_inside_it():
    x = torch.randn(2, 3, 4, 4)
    new = treated(Block(), BatchNorm(), x)
    assert isinstance(new.a.norm, nn.BatchNorm2d)
    assert isinstance(new.b.norm, nn.BatchNorm2d)


def test_steps_of_a_sequence_take_layer_norm_and_no_batch_norm():
    x = torch.randn(2, 7, 6)
    with pytest.raises(NotApplicable, match="works on sequences"):
        treated(mlp(), BatchNorm(), x)
    assert isinstance(treated(mlp(), LayerNorm(), x)[0].norm, nn.LayerNorm)


def test_a_layer_called_several_times_takes_no_batch_norm():
    layer, act = nn.Linear(6, 6), nn.ReLU()
    with pytest.raises(NotApplicable, match="called several times"):
        treated(nn.Sequential(layer, act, layer, act, nn.Linear(6, 2)), BatchNorm())


def test_recurrent_networks_are_refused_with_the_reason():
    with pytest.raises(NotApplicable, match="is recurrent"):
        treated(nn.Sequential(nn.GRU(6, 3)), BatchNorm())


def test_a_layer_whose_weights_are_read_from_outside_is_refused():
    class Peeking(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.act = nn.Linear(6, 5), nn.Linear(5, 2), nn.ReLU()

        def forward(self, x):
            return self.b(self.act(self.a(x))) + self.a.weight.sum()

    with pytest.raises(NotApplicable, match="its own code relies on what would change") as refusal:
        treated(Peeking(), LayerNorm())
    assert "forward() reads .weight of a layer" in str(refusal.value)
    assert "Linear(in_features=6, out_features=5" in str(refusal.value)


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
    for remedy in (BatchNorm(), LayerNorm()):
        assert list(dict(treated(GraphNet(), remedy).one.named_children())) == ["layer", "norm"]
