"""Activations are replaced where they hold the gradient back, and nowhere else."""

import pytest
import torch
from torch import nn

from fitwell.errors import BadInput, NotApplicable, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import Activation
from fitwell.testing import RemedyContract

X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


def treated(model, *args, x=X, **options):
    return Recipe(Activation(*args, **options)).apply(model, example_input=x).model


class TestActivation(RemedyContract):
    def make_remedy(self):
        return Activation("leaky_relu", slope=0.2)

    def make_untreatable(self):
        return nn.Sequential(nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 2)), X


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        *(("relu", nn.ReLU), ("leaky_relu", nn.LeakyReLU), ("prelu", nn.PReLU), ("elu", nn.ELU)),
        *(("selu", nn.SELU), ("gelu", nn.GELU), ("silu", nn.SiLU)),
    ],
)
def test_hidden_sigmoid_and_tanh_become_the_new_kind_and_the_output_stays(kind, module):
    net = nn.Sequential(
        *(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)),
        nn.Sigmoid(),
    )
    new = treated(net, kind)
    assert [type(m) for m in (new[1], new[3], new[5])] == [module, module, nn.Sigmoid]


def test_only_kinds_that_never_die_replace_relu():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    assert isinstance(treated(net, "relu")[1], nn.ReLU)
    assert isinstance(treated(net, "leaky_relu")[1], nn.LeakyReLU)
    with pytest.raises(NotApplicable):
        treated(net, "tanh")


def test_a_shared_module_stays_shared():
    act = nn.Tanh()
    net = nn.Sequential(nn.Linear(4, 4), act, nn.Linear(4, 4), act, nn.Linear(4, 1))
    new = treated(net, "relu")
    assert new[1] is new[3]
    assert isinstance(new[1], nn.ReLU)


def test_a_module_that_also_serves_the_output_keeps_its_kind():
    act = nn.Sigmoid()
    net = nn.Sequential(nn.Linear(4, 4), act, nn.Linear(4, 1), act)
    with pytest.raises(NotApplicable, match="found to replace between the layers"):
        treated(net, "relu")


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.value, self.gate, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1)
        self.squash, self.act = nn.Sigmoid(), nn.Tanh()

    def forward(self, x):
        return self.out(self.act(self.value(x) * self.squash(self.gate(x))))


def test_gates_keep_theirs():
    new = treated(Gated(), "relu")
    assert isinstance(new.squash, nn.Sigmoid)
    assert isinstance(new.act, nn.ReLU)


class Capped(Gated):
    """A cap on the scores of attention, and a gate that is scaled before it opens."""

    def forward(self, x):
        scores = torch.tanh(self.value(x) @ self.value(x).T / 5) * 5
        kept = torch.exp(-3 * self.squash(self.gate(x))) * x
        return self.out(self.act(self.value(torch.softmax(scores, -1) @ kept)))


def test_the_scores_of_attention_and_scaled_gates_keep_theirs():
    new = treated(Capped(), "relu")
    assert isinstance(new.squash, nn.Sigmoid)
    assert isinstance(new.act, nn.ReLU)
    assert type(new) is Capped


class Tied(nn.Module):
    """An autoencoder whose decoder is the transposed encoder: no loop."""

    def __init__(self):
        super().__init__()
        self.encode, self.act, self.bias = (
            nn.Linear(4, 3),
            nn.Sigmoid(),
            nn.Parameter(torch.ones(4)),
        )

    def forward(self, x):
        return nn.functional.linear(self.act(self.encode(x)), self.encode.weight.T, self.bias)


def test_weights_that_are_used_again_make_no_loop():
    assert isinstance(treated(Tied(), "relu").act, nn.ReLU)


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.act, self.out = nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 1)

    def forward(self, x):
        state = torch.zeros_like(x)
        for _ in range(3):
            state = self.act(self.cell(torch.cat([x, state], 1)))
        return self.out(state)


def test_the_state_of_a_loop_keeps_its_tanh():
    with pytest.raises(NotApplicable):
        treated(Loop(), "relu")


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.b(torch.sigmoid(self.a(x)))


def test_a_function_becomes_a_module_of_the_forward_that_calls_it():
    net = Functional()
    new = treated(nn.Sequential(net), "leaky_relu")
    expected = net.b(torch.nn.functional.leaky_relu(net.a(X)))
    assert isinstance(new[0].act, nn.LeakyReLU)
    assert torch.equal(new(X), expected)


class Deciding(Functional):
    def forward(self, x):
        x = torch.sigmoid(self.a(x))
        return self.b(x if x.sum() > 0 else -x)


def test_a_function_in_a_forward_that_cannot_be_traced_is_refused_with_file_and_line():
    with pytest.raises(
        NotApplicable, match=r"sigmoid called at .*test_activation.py:\d+"
    ) as refusal:
        treated(nn.Sequential(Deciding()), "relu")
    assert "inputs to control flow" in str(refusal.value)


def test_every_call_of_a_function_is_replaced_and_the_output_keeps_its_own():
    class Deep(Functional):
        def __init__(self):
            super().__init__()
            self.c = nn.Linear(4, 4)

        def forward(self, x):
            x = torch.sigmoid(self.a(x))
            return torch.sigmoid(self.b(torch.sigmoid(self.c(x))))

    net = Deep()
    new = treated(net, "relu")
    expected = torch.sigmoid(net.b(torch.relu(net.c(torch.relu(net.a(X))))))
    assert torch.allclose(new(X), expected)


def test_the_inside_of_an_lstm_is_left_alone():
    with pytest.raises(NotApplicable, match="activations present: none"):
        treated(nn.Sequential(nn.LSTM(4, 3)), "relu", x=torch.randn(2, 5, 4))


@pytest.mark.parametrize("slope", [0.0, -0.1, 1.1, float("nan"), "steep"])
def test_a_slope_out_of_range_is_refused(slope):
    with pytest.raises(ThresholdError):
        Activation("leaky_relu", slope)


def test_an_unknown_kind_and_a_slope_without_use_are_refused():
    with pytest.raises(BadInput, match="Unknown activation 'swish'"):
        Activation("swish")
    with pytest.raises(BadInput, match="takes no slope"):
        Activation("relu", slope=0.3)


class Refused(Gated):
    """Nothing can be replaced: a gate, and the output."""

    def forward(self, x):
        return self.act(self.out((self.value(x) + x) * self.squash(self.gate(x))))


def test_a_refusal_says_of_each_activation_why_it_stays():
    with pytest.raises(NotApplicable) as refusal:
        treated(Refused(), "relu")
    message = str(refusal.value)
    assert "Sigmoid (squash) serves as a gate" in message
    assert "Tanh (act) serves the output" in message
