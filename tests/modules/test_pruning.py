"""What torch-pruning cannot follow is left, and the network is as it was."""

import copy

import pytest
import torch
from torch import nn

from fitwell.modules.pruning import prune_units

pytest.importorskip("torch_pruning")


def test_a_graph_that_goes_astray_ends():
    """The rotary positions of Llama lead torch-pruning round for ever."""
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=20,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    net = transformers.LlamaForCausalLM(config)
    rows = {"input_ids": torch.arange(6)[None]}
    left = prune_units(net, rows, 0.5, "magnitude", ["lm_head"])
    assert net.model.layers[0].mlp.up_proj.out_features == 16
    assert any("goes where torch-pruning cannot follow it" in reason for reason in left)


class Sliced(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.out = nn.Linear(4, 8), nn.Linear(2, 3)
        self.b, self.last = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.out(self.a(x).view(-1, 4, 2).sum(1)) + self.last(self.b(x))


def test_what_is_left_keeps_every_tensor():
    net = Sliced()
    before, x = copy.deepcopy(net), torch.randn(5, 4)
    prune_units(net, x, 0.5, "magnitude", ["out", "last"])
    assert torch.equal(net.a.weight, before.a.weight)
    assert torch.equal(net.out.weight, before.out.weight)
    assert net.a.out_features == 8
    assert net.b.out_features == 3


def test_networks_that_draw_random_numbers_are_compared_with_the_same_ones():
    class Sampling(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.out = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.out(self.a(x)) + torch.randn(3)

    net = Sampling()
    prune_units(
        net, torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), 0.5, "magnitude"
    )
    assert net.a.out_features == 4


def test_fresh_weights_are_drawn_for_what_lost_units_and_frozen_layers_stay():
    net = nn.Sequential(
        *(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU()),
        nn.Linear(8, 2),
    )
    net[0].requires_grad_(False)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(9.0)
    prune_units(net, torch.randn(5, 4), 0.5, "random", ["6"], fresh=True)
    assert [net[i].out_features for i in (0, 2, 4)] == [8, 4, 4]
    assert bool((net[0].weight == 9).all())
    assert net[4].weight.abs().max() <= 0.5
    assert bool((net[6].weight == 9).all())
