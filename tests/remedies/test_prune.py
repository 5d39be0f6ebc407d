"""Units are really gone, those that mattered least, and only where that can be followed."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.errors import BadInput, NotApplicable, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import Prune
from fitwell.testing import RemedyContract

pytest.importorskip("torch_pruning")
X = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))


def prune(model, *args, x=X, **options):
    return Recipe(Prune(*args, **options)).apply(model, example_input=x)


def count(model):
    return sum(p.numel() for p in model.parameters())


class TestPrune(RemedyContract):
    def make_remedy(self):
        return Prune(0.5)

    def make_untreatable(self):
        return nn.Sequential(nn.LSTM(4, 3)), torch.randn(2, 5, 4)


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Linear(6, 10), nn.BatchNorm1d(10), nn.PReLU(10), nn.Dropout(0.5)),
        *(nn.Linear(10, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3)),
    )


def test_an_mlp_gets_narrower_and_keeps_its_output():
    new = prune(mlp(), 0.5).model
    assert repr(new[0]) == repr(nn.Linear(6, 5))
    assert (new[1].num_features, len(new[1].running_mean), new[2].num_parameters) == (5, 5, 5)
    assert repr(new[4]) == repr(nn.Linear(5, 4))
    assert new[5].normalized_shape == (4,)
    assert repr(new[7]) == repr(nn.Linear(4, 3))
    assert new(X).shape == (6, 3)


def test_dead_units_go_first_and_nothing_is_lost_with_them():
    net = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 3))
    dead = [1, 4, 5, 8]
    with torch.no_grad():
        net[0].weight[dead] = 0
        net[0].bias[dead] = 0
        net[2].weight[:, dead] = 0
    new = prune(net, 0.4).model
    kept = [n for n in range(10) if n not in dead]
    assert torch.equal(new[0].weight, net[0].weight[kept])
    assert torch.equal(new[2].weight, net[2].weight[:, kept])
    assert torch.allclose(new(X), net(X), atol=1e-6)


def test_magnitude_is_that_of_all_layers_that_belong_together():
    net = nn.Sequential(nn.Linear(6, 4, bias=False), nn.ReLU(), nn.Linear(4, 3, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([3.0, 4.0, 3.0, 4.0])[:, None].expand(4, 6))
        net[2].weight.copy_(torch.tensor([8.0, 1.0, 4.0, 3.0]).expand(3, 4))
    ins, outs = torch.tensor([9.0, 16, 9, 16]), torch.tensor([64.0, 1, 16, 9])
    # By the first layer alone, or as parts of the largest, another unit would go.
    assert (ins / ins.mean() + outs / outs.mean()).argmin() == 1
    assert torch.equal(prune(net, 0.25).model[0].weight, net[0].weight[[0, 2, 3]])


def test_the_scale_of_batch_norm_decides_where_it_is_asked():
    net = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 5))
    net.append(nn.ReLU()).append(nn.Linear(5, 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([0.5, -0.1, 0.2, -3.0]))
    new = prune(net, 0.5, "norm_scale").model
    assert torch.equal(new[1].weight, net[1].weight[[0, 3]])
    assert new[3].out_features == 5


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.a = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 3, padding=1)
        self.b, self.norm = nn.Conv2d(12, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.depth = nn.Conv2d(8, 8, 3, groups=8)
        self.out = nn.Linear(8 * 36, 3)

    def forward(self, x):
        x = self.enter(x)
        x = F.relu(x + self.norm(self.b(F.relu(self.a(x)))))
        return self.out(self.depth(x).flatten(1))


def test_what_is_added_is_pruned_together_and_flattened_inputs_follow():
    new = prune(Residual(), 0.5, x=torch.randn(2, 3, 8, 8)).model
    assert (new.enter.out_channels, new.a.in_channels, new.a.out_channels) == (4, 4, 6)
    assert (new.b.in_channels, new.b.out_channels, new.norm.num_features) == (6, 4, 4)
    assert (new.depth.groups, new.depth.out_channels, new.out.in_features) == (4, 4, 4 * 36)


def test_concatenated_channels_leave_by_their_own_places():
    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 4, 3, padding=1)
            self.c, self.out = nn.Conv2d(10, 6, 1), nn.Linear(16, 2)

        def forward(self, x):
            a = self.a(x)
            b = self.b(a.relu())
            c = self.c(torch.cat([a, b], 1).relu())
            return self.out(torch.cat([a, b, c], 1).mean((2, 3)))

    new = prune(Dense(), 0.5, x=torch.randn(2, 3, 8, 8)).model
    assert (new.a.out_channels, new.b.out_channels, new.c.out_channels) == (3, 2, 3)
    assert (new.b.in_channels, new.c.in_channels, new.out.in_features) == (3, 5, 8)


def test_groups_lose_as_many_channels_each():
    net = nn.Sequential(
        *(nn.Conv1d(4, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv1d(8, 8, 3, groups=2)),
        *(nn.ReLU(), nn.Conv1d(8, 2, 1)),
    )
    new = prune(net, 0.5, x=torch.randn(2, 4, 9)).model
    assert (new[0].out_channels, new[1].num_channels, new[1].num_groups) == (4, 4, 2)
    assert (new[3].in_channels, new[3].out_channels, new[3].groups) == (4, 4, 2)


def test_gradients_hooks_modes_and_what_is_frozen_stay():
    net = mlp().train()
    net[4].requires_grad_(False)
    net[1].eval()
    net(X).sum().backward()
    before = copy.deepcopy([p.grad for p in net.parameters()])
    new = prune(net).model
    assert [m.training for m in new.modules()] == [m.training for m in net.modules()]
    assert not any(m._forward_hooks for net in (net, new) for m in net.modules())
    flags = {name: p.requires_grad for name, p in net.named_parameters()}
    assert {name: p.requires_grad for name, p in new.named_parameters()} == flags
    for parameter, grad in zip(net.parameters(), before, strict=True):
        assert parameter.grad is grad is None or torch.equal(parameter.grad, grad)


def test_changes_name_layers_old_and_new_and_the_parameters():
    net = mlp()
    result = prune(net, 0.5)
    said = str(result.changes)
    assert "0: nn.Linear(out_features=10) -> nn.Linear(out_features=5)" in said
    assert f"Prune: {count(net):,} parameters became {count(result.model):,}" in said
    assert "a forward pass takes" in said


def test_units_that_cannot_be_followed_stay_with_the_reason():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.out = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 3)
            self.shift = nn.Parameter(torch.ones(8))
            self.c, self.last = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x):
            mixed = self.b(x).softmax(1)
            return self.out(self.a(x) * self.shift) + self.out2(mixed) + self.last(self.c(x))

        def out2(self, x):
            return self.last(x)

    class Mixing(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.out = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.out(self.a(x).cumsum(1))

    with pytest.raises(NotApplicable, match="a is mixed with others in a way"):
        prune(Mixing())
    with pytest.raises(NotApplicable, match="a parameter of the network's own"):
        prune(Odd())


def test_tied_weights_and_layers_that_run_twice_stay():
    layer = nn.Linear(6, 6)
    with pytest.raises(NotApplicable, match="runs 2 times"):
        prune(nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(6, 2)))
    net = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    net[2].weight = net[0].weight
    with pytest.raises(NotApplicable, match="weights are shared"):
        prune(net)


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
def test_a_residual_network_of_transformers_gets_smaller(kind):
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type=kind, num_labels=3
    )
    net = transformers.ResNetForImageClassification(config)
    x = {"pixel_values": torch.randn(2, 3, 32, 32)}
    new = prune(net, 0.5, x=x).model
    assert count(new) < 0.5 * count(net)
    assert new(**x).logits.shape == (2, 3)


def test_a_vision_transformer_loses_units_of_its_mlps_and_keeps_its_heads():
    transformers = pytest.importorskip("transformers")
    sizes = {"image_size": 16, "patch_size": 8, "hidden_size": 16, "intermediate_size": 32}
    config = transformers.ViTConfig(
        num_hidden_layers=2, num_attention_heads=2, num_labels=3, **sizes
    )
    net = transformers.ViTForImageClassification(config)
    result = prune(net, 0.5, x={"pixel_values": torch.randn(2, 3, 16, 16)})
    widths = [m.out_features for m in result.model.modules() if isinstance(m, nn.Linear)]
    assert widths.count(16) == 4 * 2 + 2 + 2
    assert 32 not in widths
    assert "feeds attention, whose heads keep their sizes" in str(result.changes)


def test_a_second_application_is_refused_also_on_a_copy():
    new = copy.deepcopy(prune(mlp()).model)
    with pytest.raises(BadInput, match="Prune was applied to this network before"):
        prune(new, 0.1)


def test_bad_arguments_are_refused():
    for share in (0, 1, -0.5):
        with pytest.raises(ThresholdError):
            Prune(share)
    with pytest.raises(BadInput, match="Unknown importance 'size'"):
        Prune(0.3, "size")


class ReadsMaps(nn.Module):
    """In double precision, torch-pruning fails on what the recurrent layer is made of."""

    def __init__(self):
        super().__init__()
        self.maps, self.steps = nn.Conv1d(3, 8, 3), nn.LSTM(8, 6, batch_first=True)
        self.hidden, self.out = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        steps, _ = self.steps(self.maps(x).transpose(1, 2))
        return self.out(torch.relu(self.hidden(steps[:, -1])))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_layer_that_cannot_be_followed_stays_and_the_others_are_pruned(dtype):
    treated = prune(ReadsMaps().to(dtype), 0.5, x=torch.randn(4, 3, 9, dtype=dtype))
    assert treated.model.hidden.out_features == 3
    assert treated.model.maps.out_channels == 8
    assert any("maps" in note for note in treated.changes.notes)
