"""Folded networks put out what they put out before; torch's own fusion agrees."""

import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from fitwell.errors import NotApplicable
from fitwell.recipe import Recipe
from fitwell.remedies import FoldBatchNorm
from fitwell.testing import RemedyContract


def trained(model, *shape):
    """Give the norms statistics, scales and shifts as after training."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.2, 3)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return model.eval(), torch.randn(5, *shape)


def fold(model, x):
    return Recipe(FoldBatchNorm()).apply(model, example_input=x)


class TestFoldBatchNorm(RemedyContract):
    def make_remedy(self):
        return FoldBatchNorm()

    def make_model(self):
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

    def make_untreatable(self):
        return nn.Sequential(nn.Linear(6, 3), nn.LayerNorm(3)), torch.randn(2, 6)


def assert_folded(net, x, *, left=0):
    new = fold(net, x).model
    norms = [m for m in new.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert len(norms) == left
    with torch.no_grad():
        expected = net(x)
        assert torch.allclose(new(x), expected, rtol=1e-5, atol=1e-5 * expected.abs().max())
    return new


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_and_a_convolution_agree_with_torchs_fusion(bias):
    net, x = trained(nn.Sequential(nn.Linear(6, 8, bias=bias), nn.BatchNorm1d(8)), 6)
    fused = fuse_linear_bn_eval(net[0], net[1])
    new = assert_folded(net, x)
    assert torch.allclose(new[0].weight, fused.weight)
    assert torch.allclose(new[0].bias, fused.bias)
    net, x = trained(
        nn.Sequential(nn.Conv2d(4, 6, 3, groups=2, bias=bias), nn.BatchNorm2d(6)), 4, 9, 9
    )
    fused = fuse_conv_bn_eval(net[0], net[1])
    new = assert_folded(net, x)
    assert torch.allclose(new[0].weight, fused.weight)
    assert torch.allclose(new[0].bias, fused.bias, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (nn.Conv1d(4, 6, 3, padding=1), nn.BatchNorm1d(6), (4, 9)),
        (nn.Conv3d(2, 4, 2), nn.BatchNorm3d(4), (2, 4, 4, 4)),
        (nn.ConvTranspose2d(4, 6, 3, stride=2), nn.BatchNorm2d(6), (4, 5, 5)),
        (nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6), (4, 5, 5)),
        (nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, affine=True, eps=1e-2), (4, 5, 5)),
    ],
)
def test_norms_behind_every_kind_of_convolution_are_folded(layer, norm, shape):
    assert_folded(*trained(nn.Sequential(layer, norm, nn.ReLU()), *shape))


@pytest.mark.parametrize(
    ("norm", "layer", "shape"),
    [
        (nn.BatchNorm1d(6), nn.Linear(6, 4, bias=False), (6,)),
        (nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, groups=2), (4, 6, 6)),
        (nn.BatchNorm1d(4), nn.Conv1d(4, 6, 3, padding=1, padding_mode="circular"), (4, 7)),
        (nn.BatchNorm1d(4), nn.Conv1d(4, 6, 3, padding=2, padding_mode="reflect"), (4, 7)),
    ],
)
def test_norms_before_a_layer_are_folded_where_that_is_exact(norm, layer, shape):
    assert_folded(*trained(nn.Sequential(nn.Flatten(0, 0), norm, layer), *shape))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(4, 6, 3, padding="same"),
        nn.ConvTranspose2d(4, 6, 3),
    ],
)
def test_a_norm_before_zeros_at_the_border_is_left(layer):
    net, x = trained(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4), layer), 4, 6, 6)
    with pytest.raises(NotApplicable, match=r"pads with zeros|at the borders"):
        fold(net, x)


def test_a_layer_between_two_norms_takes_in_both():
    net = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    assert_folded(*trained(net, 6))


class Shared(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how, self.fc, self.norm = how, nn.Linear(6, 6), nn.BatchNorm1d(6)
        if how == "statistics":
            self.norm = nn.BatchNorm1d(6, track_running_stats=False)
        if how == "tied":
            self.twin = nn.Linear(6, 6)
            self.twin.weight = self.fc.weight

    def forward(self, x):
        x = self.fc(x)
        if self.how == "branch":
            return self.norm(x) + x
        if self.how == "norm twice":
            return self.norm(self.norm(x))
        if self.how == "layer twice":
            return self.norm(self.fc(x.relu())).relu()
        return self.twin(self.norm(x).relu()) if self.how == "tied" else self.norm(x).relu()


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        *(("branch", "not the only one"), ("norm twice", "called several times")),
        *(("layer twice", "used elsewhere"), ("tied", "used elsewhere")),
        ("statistics", "no running statistics"),
    ],
)
def test_what_is_used_elsewhere_or_has_no_statistics_is_refused(how, reason):
    with pytest.raises(NotApplicable, match=reason):
        fold(Shared(how).eval(), torch.randn(4, 6))


def test_steps_are_no_units():
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(7)).eval()
    with pytest.raises(NotApplicable, match="steps that 0 works on"):
        fold(net, torch.randn(2, 7, 6))


def test_the_time_of_a_forward_pass_is_measured_and_told():
    net, x = trained(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU()), 6)
    result = fold(net, x)
    (said,) = result.changes.notes
    assert said.startswith("FoldBatchNorm: a forward pass takes ")
    assert " of the time (" in said
    assert said in result.effects()
    assert said in str(result.changes)


def test_frozen_and_half_precision_layers_are_folded():
    net, x = trained(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8)), 6)
    new = assert_folded(net.requires_grad_(False), x)
    assert not any(p.requires_grad for p in new.parameters())
    half = net.bfloat16()
    new = fold(half, x.bfloat16()).model
    assert new[0].weight.dtype == torch.bfloat16
    assert torch.allclose(new(x.bfloat16()).float(), half(x.bfloat16()).float(), atol=0.1)


def test_a_residual_network_of_transformers_is_folded_whole():
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12], depths=[1, 2], layer_type="basic", num_labels=3
    )
    net, x = trained(transformers.ResNetForImageClassification(config), 3, 32, 32)
    new = fold(net, x).model
    assert not any(isinstance(m, nn.BatchNorm2d) for m in new.modules())
    expected = net(x).logits
    assert torch.allclose(new(x).logits, expected, atol=1e-5 * expected.abs().max().item())
