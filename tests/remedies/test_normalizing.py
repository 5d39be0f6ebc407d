"""Normalisation is swapped where the axes are certain; scale and offset are kept."""

import pytest
import torch
from torch import nn

from fitwell.errors import NotApplicable
from fitwell.recipe import Recipe
from fitwell.remedies import BatchNorm, GroupNorm, LayerNorm

ROWS = (16, 12)
MAPS = {1: (3, 12, 5), 2: (3, 12, 4, 4), 3: (3, 12, 3, 3, 3)}


def swapped(old, remedy, shape):
    """The network before and after, of a norm with scale and offset of its own, and a layer."""
    torch.manual_seed(0)
    net = nn.Sequential(old, nn.Identity(), nn.Linear(shape[-1], 2))
    with torch.no_grad():
        for parameter in old.parameters():
            parameter.normal_()
    treated = Recipe(remedy).apply(net, example_input=torch.randn(shape))
    return net, treated


CASES = [
    (nn.BatchNorm1d(12), LayerNorm(), ROWS, "LayerNorm"),
    (nn.BatchNorm1d(12), GroupNorm(2), ROWS, "GroupNorm"),
    (nn.LayerNorm(12), BatchNorm(), ROWS, "BatchNorm1d"),
    (nn.LayerNorm(12), GroupNorm(2), ROWS, "GroupNorm"),
    (nn.GroupNorm(3, 12), BatchNorm(), ROWS, "BatchNorm1d"),
    (nn.GroupNorm(3, 12), LayerNorm(), ROWS, "LayerNorm"),
    *((nn.GroupNorm(3, 12), LayerNorm(), shape, "GroupNorm") for shape in MAPS.values()),
]
for space, shape in MAPS.items():
    batch, instance = getattr(nn, f"BatchNorm{space}d"), getattr(nn, f"InstanceNorm{space}d")
    CASES += [
        (batch(12), LayerNorm(), shape, "GroupNorm"),
        (batch(12), GroupNorm(4), shape, "GroupNorm"),
        (nn.GroupNorm(3, 12), BatchNorm(), shape, f"BatchNorm{space}d"),
        (instance(12, affine=True), BatchNorm(), shape, f"BatchNorm{space}d"),
        (instance(12, affine=True), GroupNorm(4), shape, "GroupNorm"),
        (instance(12, affine=True), LayerNorm(), shape, "GroupNorm"),
    ]


@pytest.mark.parametrize(("old", "remedy", "shape", "kind"), CASES)
def test_one_kind_is_swapped_for_another_with_its_scale_and_offset(old, remedy, shape, kind):
    net, treated = swapped(old, remedy, shape)
    new = treated.model[0]
    assert type(new).__name__ == kind
    assert torch.equal(new.weight, old.weight)
    assert torch.equal(new.bias, old.bias)
    assert set(net.state_dict()) >= {"0.weight", "0.bias"}
    with torch.no_grad():
        z = (new.train()(torch.randn(shape)) - unrolled(new.bias, shape)) / unrolled(
            new.weight, shape
        )
    axes = {"B": (0, *range(2, len(shape))), "L": (1,)}.get(kind[0])
    if axes is None:
        z, axes = z.reshape(shape[0], new.num_groups, -1), (2,)
    assert torch.allclose(z.mean(axes), torch.zeros(()), atol=1e-4)
    assert torch.allclose(z.var(axes, correction=0), torch.ones(()), atol=1e-2)


def unrolled(parameter, shape):
    return parameter.view(-1, *[1] * (len(shape) - 2))


def test_of_layer_norm_for_maps_one_group_is_made():
    _, treated = swapped(nn.BatchNorm2d(12), LayerNorm(), MAPS[2])
    assert treated.model[0].num_groups == 1
    assert str(treated.changes) == (
        "0: nn.BatchNorm2d() -> nn.GroupNorm(num_groups=1, num_channels=12)"
    )


def test_a_norm_without_scale_is_swapped_for_one_without():
    for old in (nn.InstanceNorm2d(12), nn.BatchNorm2d(12, affine=False)):
        _, treated = swapped(old, GroupNorm(4), MAPS[2])
        assert treated.model[0].weight is None
    _, treated = swapped(nn.LayerNorm(12, elementwise_affine=False), BatchNorm(), ROWS)
    assert treated.model[0].weight is None


def test_mode_and_dtype_stay():
    net = nn.Sequential(nn.BatchNorm2d(12), nn.Flatten(), nn.Linear(192, 2)).double().eval()
    treated = Recipe(GroupNorm(2)).apply(net, example_input=torch.randn(MAPS[2]).double())
    assert treated.model[0].weight.dtype == torch.float64
    assert not treated.model[0].training


def test_frozen_norms_stay_and_the_others_are_swapped():
    net = nn.Sequential(nn.BatchNorm1d(12), nn.Linear(12, 12), nn.BatchNorm1d(12), nn.ReLU())
    net = nn.Sequential(*net, nn.Linear(12, 2))
    net[0].requires_grad_(False)
    treated = Recipe(LayerNorm()).apply(net, example_input=torch.randn(ROWS)).model
    assert [type(treated[i]).__name__ for i in (0, 2)] == ["BatchNorm1d", "LayerNorm"]
    with pytest.raises(NotApplicable, match="would change frozen layers"):
        Recipe(LayerNorm()).apply(net.requires_grad_(False), example_input=torch.randn(ROWS))


class ChannelsFirst(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(12))

    def forward(self, x):
        return x * self.weight


Own.__name__ = "LayerNorm"


@pytest.mark.parametrize("remedy", [BatchNorm(), GroupNorm(2)])
@pytest.mark.parametrize(
    ("old", "shape", "reason"),
    [
        (nn.LayerNorm(12), (3, 7, 12), "0 works on sequences"),
        (ChannelsFirst(12), MAPS[2], "0 is ChannelsFirst, a class with a forward of its own"),
        (Own(), ROWS, "0 is LayerNorm, which has no counterpart over the same axes"),
        (nn.RMSNorm(12), ROWS, "0 is RMSNorm, which has no counterpart over the same axes"),
        (nn.LayerNorm((12, 4, 4)), MAPS[2], "0 is LayerNorm over 3 axes at once"),
        (nn.LocalResponseNorm(2), MAPS[2], "0 is LocalResponseNorm, which has no counterpart"),
        (
            nn.InstanceNorm2d(12, track_running_stats=True),
            MAPS[2],
            "0 is InstanceNorm2d without a batch axis, or with running statistics",
        ),
    ],
)
def test_what_has_no_certain_counterpart_stays_and_is_told(old, shape, reason, remedy):
    with pytest.raises(NotApplicable, match=reason):
        swapped(old, remedy, shape)


def test_a_shared_norm_takes_no_statistics_of_batches_and_can_be_grouped():
    norm = nn.GroupNorm(3, 12)
    net = nn.Sequential(norm, nn.Linear(12, 12), norm, nn.Linear(12, 2))
    with pytest.raises(NotApplicable, match="0 is called several times"):
        Recipe(BatchNorm()).apply(net, example_input=torch.randn(ROWS))
    treated = Recipe(LayerNorm()).apply(net, example_input=torch.randn(ROWS)).model
    assert treated[0] is treated[2]
    assert isinstance(treated[0], nn.LayerNorm)


def test_a_function_that_normalises_is_told():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(12, 2)

        def forward(self, x):
            return self.out(nn.functional.layer_norm(x, (12,)))

    with pytest.raises(NotApplicable, match="layer_norm calls the function layer_norm"):
        Recipe(BatchNorm()).apply(Net(), example_input=torch.randn(ROWS))
