"""Initial weights have the variance that the formula gives."""

from math import sqrt

import pytest
import torch
from torch import nn

from fitwell.errors import BadInput, NotApplicable
from fitwell.modules import Recurrent
from fitwell.recipe import Recipe
from fitwell.remedies import Initialization
from fitwell.testing import RemedyContract


def treated(model, x, scheme="auto", seed=0):
    return Recipe(Initialization(scheme)).apply(model, example_input=x, seed=seed).model


class TestInitialization(RemedyContract):
    def make_remedy(self):
        return Initialization("he_uniform")

    def make_untreatable(self):
        return nn.Sequential(nn.Embedding(5, 3)), torch.arange(4)


def check(weight, sigma, *, uniform=False):
    """Deviation and bound of many draws, within four standard errors."""
    assert weight.std().item() == pytest.approx(sigma, rel=4 / sqrt(2 * weight.numel()))
    assert abs(weight.mean().item()) < 4 * sigma / sqrt(weight.numel())
    bound = weight.abs().max().item()
    assert bound <= sqrt(3) * sigma if uniform else bound > 2.5 * sigma


@pytest.mark.parametrize(
    ("scheme", "sigma", "uniform"),
    [
        ("xavier_uniform", sqrt(2 / (300 + 200)), True),
        ("xavier_normal", sqrt(2 / (300 + 200)), False),
        ("he_uniform", sqrt(2 / 300), True),
        ("he_normal", sqrt(2 / 300), False),
        ("lecun_normal", sqrt(1 / 300), False),
    ],
)
def test_the_weights_have_the_deviation_of_the_scheme(scheme, sigma, uniform):
    net = nn.Sequential(nn.Linear(300, 200), nn.ReLU(), nn.Linear(200, 300))
    new = treated(net, torch.randn(2, 300), scheme)
    check(new[0].weight, sigma, uniform=uniform)
    assert not new[0].bias.any()


@pytest.mark.parametrize(
    ("activation", "sigma"),
    [
        *((nn.ReLU(), sqrt(2 / 300)), (nn.LeakyReLU(0.5), sqrt(2 / 1.25 / 300))),
        *((nn.SELU(), sqrt(1 / 300)), (nn.Tanh(), sqrt(2 / 500)), (nn.Sigmoid(), sqrt(2 / 500))),
    ],
)
def test_auto_goes_by_the_activation_that_follows_and_xavier_at_the_output(activation, sigma):
    net = nn.Sequential(
        *(nn.Linear(300, 200), nn.BatchNorm1d(200), nn.Dropout(), activation),
        nn.Linear(200, 300),
    )
    new = treated(net, torch.randn(2, 300))
    check(new[0].weight, sigma)
    check(new[4].weight, sqrt(2 / 500))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(200, 200), nn.Linear(200, 300)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.outer(self.act(x + self.inner(x)))


def test_auto_sees_the_relu_behind_a_residual_addition():
    new = treated(Residual(), torch.randn(2, 200))
    check(new.inner.weight, sqrt(2 / 200))


def test_convolutions_count_window_groups_and_transposition():
    net = nn.Sequential(
        *(nn.Conv2d(12, 40, 3), nn.ReLU(), nn.Conv2d(40, 80, 3, groups=4), nn.Tanh()),
        *(nn.ConvTranspose2d(80, 20, 4, stride=2), nn.ReLU(), nn.Conv2d(20, 40, 5)),
    )
    new = treated(net, torch.randn(1, 12, 9, 9))
    check(new[0].weight, sqrt(2 / (12 * 9)))
    check(new[2].weight, sqrt(2 / (10 * 9 + 20 * 9)))
    check(new[4].weight, sqrt(2 / (80 * 16 / 4)))
    check(new[6].weight, sqrt(2 / (20 * 25 + 40 * 25)))


def test_he_keeps_the_second_moment_of_relu_layers_level():
    layers = [m for _ in range(10) for m in (nn.Linear(400, 400), nn.ReLU())]
    new = treated(nn.Sequential(*layers, nn.Linear(400, 1)), torch.randn(2, 400))
    x = torch.randn(500, 400)
    assert new[:20](x).square().mean().item() == pytest.approx(0.5 * 2, rel=0.4)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_weights_are_orthogonal_gate_by_gate(kind, gates):
    net = nn.Sequential(kind(30, 20, num_layers=2, bidirectional=True))
    new = treated(net, torch.randn(4, 2, 30))[0]
    for name, weight in new.named_parameters():
        if name.startswith("weight_hh"):
            for block in weight.detach().split(20):
                assert torch.allclose(block @ block.T, torch.eye(20), atol=1e-5)
        elif name.startswith("bias"):
            assert not weight.any()
    assert len(new.weight_hh_l0) == gates * 20
    check(new.weight_ih_l0, sqrt(2 / (30 + 20)), uniform=False)


def test_cells_in_a_loop_are_initialised_too():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.out = nn.LSTMCell(5, 6), nn.Linear(6, 2)

        def forward(self, x):
            state = None
            for step in x.unbind(1):
                state = self.cell(step, state)
            return self.out(state[0])

    new = treated(Net(), torch.randn(3, 4, 5))
    block = new.cell.weight_hh.detach()[6:12]
    assert torch.allclose(block @ block.T, torch.eye(6), atol=1e-5)


def test_an_embedding_keeps_its_weights_also_where_the_output_shares_them():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.out = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
            self.mix = nn.Linear(4, 4)
            self.out.weight = self.words.weight

        def forward(self, x):
            return self.out(self.mix(self.words(x)).relu())

    net = Tied()
    new = treated(net, torch.arange(3))
    assert torch.equal(new.words.weight, net.words.weight)
    assert new.out.weight is new.words.weight
    assert not torch.equal(new.mix.weight, net.mix.weight)


def test_an_unknown_scheme_and_a_network_without_weights_are_refused():
    with pytest.raises(BadInput, match="Unknown scheme 'glorot'"):
        Initialization("glorot")
    with pytest.raises(NotApplicable, match="layers present: none"):
        treated(nn.Sequential(nn.ReLU()), torch.randn(2, 3))


def test_a_recurrent_layer_of_ours_is_drawn_gate_by_gate_and_keeps_its_gains():
    net = nn.Sequential(Recurrent("LSTM", 4, 6, norm=True))
    treated = Recipe(Initialization()).apply(net, example_input=torch.randn(5, 2, 4)).model
    for block in treated[0].weight_hh_l0.detach().split(6):
        assert torch.allclose(block @ block.T, torch.eye(6), atol=1e-5)
    assert not treated[0].bias_ih_l0.any()
    assert (treated[0].gain_hh_l0 == 1).all()


@pytest.mark.parametrize(
    ("scheme", "sigma", "uniform"),
    [
        ("xavier_normal", sqrt(2 / (300 + 200)), False),
        ("he_normal", sqrt(2 / 300), False),
        ("he_uniform", sqrt(2 / 300), True),
        ("lecun_normal", sqrt(1 / 300), False),
    ],
)
def test_a_weight_that_counts_its_inputs_first_has_the_same_variance(scheme, sigma, uniform):
    pytorch_utils = pytest.importorskip("transformers.pytorch_utils")
    net = nn.Sequential(pytorch_utils.Conv1D(200, 300), nn.ReLU(), nn.Linear(200, 2))
    weight = treated(net, torch.randn(2, 300), scheme)[0].weight
    assert weight.shape == (300, 200)
    check(weight, sigma, uniform=uniform)


@pytest.mark.parametrize(
    ("layer", "fan_in", "fan_out"),
    [
        (nn.Conv1d(30, 60, 5, groups=3), 50, 100),
        (nn.Conv3d(8, 16, 3), 8 * 27, 16 * 27),
        (nn.ConvTranspose1d(30, 60, 4, stride=2, groups=3), 20, 80),
        (nn.ConvTranspose2d(20, 30, 3), 180, 270),
    ],
)
def test_every_scheme_counts_the_inputs_and_outputs_of_convolutions(layer, fan_in, fan_out):
    x = torch.randn(1, layer.in_channels, *(9 for _ in layer.kernel_size))
    net = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    net(x)
    for scheme, variance in (
        *(("he_normal", 2 / fan_in), ("he_uniform", 2 / fan_in), ("lecun_normal", 1 / fan_in)),
        *(("xavier_normal", 2 / (fan_in + fan_out)), ("xavier_uniform", 2 / (fan_in + fan_out))),
    ):
        new = treated(net, x, scheme)
        check(new[0].weight, sqrt(variance), uniform=scheme.endswith("uniform"))


def from_zero(model, x):
    remedy = Initialization(zero_init_residual=True)
    return Recipe(remedy).apply(model, example_input=x).model


class Block(nn.Module):
    def __init__(self, norm=True, wider=False):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
        self.first, self.last = nn.BatchNorm1d(8), nn.BatchNorm1d(8) if norm else nn.Dropout(0.1)
        self.short = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)) if wider else nn.Identity()

    def forward(self, x):
        return self.short(x) + self.last(self.b(self.first(self.a(x)).relu()))


def test_residual_blocks_begin_as_the_identity():
    x = torch.randn(5, 8)
    net = nn.Sequential(Block(), Block(), nn.Linear(8, 2))
    new = from_zero(net, x)
    assert torch.equal(new[:2].eval()(x), x)
    assert not new[0].last.weight.any()
    assert new[0].first.weight.all()
    new(x).sum().backward()
    assert new[0].last.weight.grad.any()


def test_the_branch_is_zeroed_and_not_the_shortcut_of_another_width():
    new = from_zero(nn.Sequential(Block(wider=True), nn.Linear(8, 2)), torch.randn(5, 8))
    assert not new[0].last.weight.any()
    assert new[0].short[1].weight.all()


def test_without_a_norm_the_last_layer_of_the_branch_is_zeroed():
    x = torch.randn(5, 8)
    new = from_zero(nn.Sequential(Block(norm=False), nn.Linear(8, 2)), x)
    assert not new[0].b.weight.any()
    assert new[0].a.weight.all()
    assert torch.equal(new[:1].eval()(x), x)


def test_transformer_layers_begin_as_the_identity():
    layer = nn.TransformerEncoderLayer(8, 2, 16, norm_first=True, batch_first=True)
    x = torch.randn(3, 4, 8)
    new = from_zero(nn.Sequential(layer, nn.Linear(8, 2)), x)
    assert torch.allclose(new[0].eval()(x), x)


def test_a_residual_network_of_transformers_begins_at_its_shortcuts():
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[2, 2], num_labels=3
    )
    net = transformers.ResNetForImageClassification(config)
    new = from_zero(net, {"pixel_values": torch.randn(2, 3, 32, 32)})
    zero = {
        n for n, m in new.named_modules() if isinstance(m, nn.BatchNorm2d) and not m.weight.any()
    }
    assert len(zero) == 4
    assert all(name.endswith("layer.2.normalization") for name in zero)


def test_a_network_without_residual_blocks_cannot_begin_them_at_zero():
    with pytest.raises(NotApplicable, match="No residual block found"):
        from_zero(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(2, 6))
