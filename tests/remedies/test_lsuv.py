"""Every layer puts out variance 1 on the rows that were measured."""

import pytest
import torch
from torch import nn

from fitwell.errors import NotApplicable, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import LSUV
from fitwell.testing import RemedyContract

X = torch.randn(300, 40, generator=torch.Generator().manual_seed(0))


def treated(model, x=X, remedy=None, **options):
    return Recipe(remedy or LSUV()).apply(model, example_input=x[:4], data=x, **options).model


def variances(model, x):
    """The variance of what every linear layer and convolution puts out, by hooks of torch."""
    found = {}
    hooks = [
        m.register_forward_hook(lambda m, a, out, name=name: found.update({name: out.var().item()}))
        for name, m in model.named_modules()
        if hasattr(m, "weight")
    ]
    model.eval()(x)
    for hook in hooks:
        hook.remove()
    return found


class TestLSUV(RemedyContract):
    def make_remedy(self):
        return LSUV(0.1)

    def make_untreatable(self):
        return nn.Sequential(nn.LSTM(4, 3)), torch.randn(2, 5, 4)


def deep(kind=nn.Tanh):
    torch.manual_seed(0)
    layers = [m for _ in range(20) for m in (nn.Linear(40, 40), kind())]
    return nn.Sequential(*layers, nn.Linear(40, 3))


@pytest.mark.parametrize("kind", [nn.Tanh, nn.ReLU, nn.Sigmoid])
def test_a_deep_network_has_variance_1_in_every_layer_where_it_had_none(kind):
    net = deep(kind)
    before = variances(net, X)
    assert min(before.values()) < 0.1
    after = variances(treated(net), X)
    assert len(after) == 21
    assert all(abs(v - 1) <= 0.06 for v in after.values())


def test_weights_are_orthonormal_up_to_their_factor_and_biases_zero():
    weight = treated(deep())[0].weight.detach()
    gram = weight @ weight.T
    assert torch.allclose(gram, gram[0, 0] * torch.eye(40), atol=1e-4)
    assert not treated(deep())[4].bias.any()


def test_convolutions_residual_additions_and_dropout_are_seen_as_in_evaluation():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1, groups=4)
            self.drop, self.out = nn.Dropout(0.9), nn.ConvTranspose1d(4, 2, 2)

        def forward(self, x):
            return self.out(x + self.drop(self.b(self.a(x).relu())))

    x = X.reshape(300, 4, 10)
    assert all(abs(v - 1) <= 0.06 for v in variances(treated(Block(), x), x).values())


def test_without_rows_the_example_is_measured():
    new = Recipe(LSUV()).apply(deep(), example_input=X).model
    assert all(abs(v - 1) <= 0.06 for v in variances(new, X).values())


def test_what_cannot_be_scaled_keeps_its_weights_and_is_named():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.rnn = nn.Embedding(9, 6), nn.GRU(6, 6, batch_first=True)
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
            self.mid, self.out = nn.Linear(6, 6), nn.Linear(6, 9, bias=False)
            self.out.weight = self.words.weight

        def forward(self, x):
            x = self.rnn(self.words(x))[0]
            return self.out(self.mid(self.attention(x, x, x)[0]))

    net, x = Mixed(), torch.arange(8).reshape(2, 4)
    result = Recipe(LSUV()).apply(net, example_input=x)
    assert torch.equal(result.model.words.weight, net.words.weight)
    assert torch.equal(result.model.rnn.weight_hh_l0, net.rnn.weight_hh_l0)
    said = str(result.changes)
    for reason in (
        "rnn keeps its weights: it is of kind GRU",
        "out keeps its weights: they are sh",
    ):
        assert reason in said


def test_a_layer_in_a_loop_keeps_its_weights():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.out = nn.Linear(40, 40), nn.Linear(40, 2)

        def forward(self, x):
            for _ in range(3):
                x = self.cell(x).tanh()
            return self.out(x)

    net = Loop()
    new = treated(net)
    assert torch.equal(new.cell.weight, net.cell.weight)
    assert not torch.equal(new.out.weight, net.out.weight)


def test_frozen_layers_keep_their_weights():
    net = deep()
    net[0].requires_grad_(False)
    new = treated(net)
    assert torch.equal(new[0].weight, net[0].weight)
    assert abs(new[:3](X).var().item() - 1) <= 0.06


def test_constant_outputs_are_refused():
    with pytest.raises(NotApplicable, match="the output of 0 is the same everywhere"):
        treated(nn.Sequential(nn.Linear(40, 3)), torch.zeros(9, 40))
    with pytest.raises(NotApplicable, match="not finite"):
        treated(nn.Sequential(nn.Linear(40, 3)), torch.full((9, 40), float("inf")))


def test_arguments_out_of_range_are_refused():
    for bad in ({"tolerance": 0.0}, {"tolerance": 2.0}, {"rounds": 0}, {"rounds": 1.5}):
        with pytest.raises(ThresholdError):
            LSUV(**bad)
