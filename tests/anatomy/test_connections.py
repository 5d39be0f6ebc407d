"""Gates, bypasses, norms and outputs, on networks whose answer is plain to see."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.anatomy import inspect, layer_facts, looped, norm_facts, output_activation
from fitwell.records import NormFact


class Net(nn.Module):
    """Runs a function on layers of four units, by name."""

    def __init__(self, body, **layers):
        super().__init__()
        self.body = body
        for letter in "abcd":
            self.add_module(letter, nn.Linear(4, 4))
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        return self.body(self, x)


def anatomy(body, *, x=None, **layers):
    model = Net(body, **layers)
    return model, inspect(model, torch.randn(5, 4) if x is None else x)


ENDS = {
    "softmax module": (lambda net, x: net.end(net.a(x)), "softmax"),
    "softmax function": (lambda net, x: F.softmax(net.a(x), 1), "softmax"),
    "softmax, then indexed": (lambda net, x: net.a(x).softmax(-1)[:, 0], "softmax"),
    "log-softmax": (lambda net, x: F.log_softmax(net.a(x), 1), "log_softmax"),
    "logarithm of a softmax": (lambda net, x: (F.softmax(net.a(x), 1) + 1e-8).log(), "log_softmax"),
    "clamped sigmoid": (lambda net, x: torch.sigmoid(net.a(x)).clamp(0.01, 0.99), "sigmoid"),
    "in-place ReLU": (lambda net, x: F.relu_(net.a(x)).squeeze(), "relu"),
    "ReLU inside alone": (lambda net, x: net.b(torch.relu(net.a(x))), ""),
    "scaled tanh": (lambda net, x: 3 * torch.tanh(net.a(x)), ""),
    "ReLU before a norm": (lambda net, x: net.norm(torch.relu(net.a(x))), ""),
    "two outputs": (lambda net, x: (torch.tanh(net.a(x)), torch.relu(net.b(x))), "tanh"),
    "loss beside the output": (
        lambda net, x: {"loss": net.b(x).sum(), "out": torch.sigmoid(net.a(x))},
        "sigmoid",
    ),
    "side branch that runs last": (
        lambda net, x: (torch.sigmoid(net.a(x)), torch.relu(net.b(x)))[0],
        "sigmoid",
    ),
}


@pytest.mark.parametrize("case", ENDS, ids=str)
def test_the_activation_that_ends_a_network(case):
    body, expected = ENDS[case]
    _, found = anatomy(body, end=nn.Softmax(1), norm=nn.LayerNorm(4))
    assert output_activation(found) == expected


def test_the_softmax_of_attention_ends_nothing():
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert output_activation(inspect(model, torch.randn(2, 3, 8))) == ""


BYPASSES = {
    "identity": (lambda net, x: net.d((h := net.a(x)) + net.c(torch.relu(net.b(h)))), "bc"),
    "projection": (lambda net, x: net.c(net.b(h := net.a(x))) + net.d(h), "bc"),
    "input around all": (lambda net, x: x + net.b(torch.relu(net.a(x))), "ab"),
    "dense": (lambda net, x: torch.cat([h := net.a(x), net.b(h)], 1), "b"),
    "plain chain": (lambda net, x: net.c(net.b(net.a(x))), ""),
    "two branches of one layer": (lambda net, x: net.a(x) + net.b(x), ""),
    "two branches behind a layer": (lambda net, x: net.b(h := net.a(x)) + net.c(h), ""),
    "input beside features": (lambda net, x: torch.cat([x, net.a(x)], 1), ""),
}


@pytest.mark.parametrize("case", BYPASSES, ids=str)
def test_layers_that_a_residual_connection_leads_around(case):
    body, expected = BYPASSES[case]
    facts = layer_facts(*anatomy(body))
    assert "".join(sorted(f.name for f in facts if f.bypassed)) == expected


def test_a_recurrence_is_no_bypass():
    def loop(net, x):
        taken, h = net.a(x), torch.zeros(len(x), 4)
        for t in range(3):
            h = torch.tanh(net.wide(torch.cat([taken[:, t], h], 1)))
        return net.c(h)

    model, found = anatomy(loop, x=torch.randn(5, 3, 4), wide=nn.Linear(8, 4))
    assert not [f.name for f in layer_facts(model, found) if f.bypassed]


def test_gates_and_attention_are_told_from_outputs():
    def body(net, x):
        h = net.a(x) * torch.sigmoid(net.b(x))
        weights = torch.softmax(net.c(h), 1)
        return torch.softmax(net.d(h * weights), 1)[:, :2]

    facts = layer_facts(*anatomy(body))
    assert [f.name for f in facts if f.gated] == ["b", "c"]


def test_a_norm_is_told_with_its_rows_and_statistics():
    model, found = anatomy(lambda net, x: net.norm(net.a(x)), norm=nn.BatchNorm1d(4, momentum=0.3))
    assert norm_facts(model, found) == (
        NormFact("norm", "batch", calls=1, rows=5, momentum=0.3, tracks=True),
    )
    model, found = anatomy(lambda net, x: net.norm(net.a(x)), norm=nn.GroupNorm(2, 4))
    assert norm_facts(model, found) == (NormFact("norm", "group", calls=1, rows=5),)


def every_state(net, x):
    return net.norm(net.rnn(x)[0].transpose(1, 2))


def last_state(net, x):
    return net.norm(net.rnn(x)[0][:, -1])


def at_each_step(net, x):
    h = x[:, 0]
    for t in range(3):
        h = torch.tanh(net.norm(net.a(h) + net.b(x[:, t])))
    return h


def on_the_inputs_of_each_step(net, x):
    h = x[:, 0]
    for t in range(3):
        h = net.cell(net.norm(x[:, t]), h)
    return h


def twins(net, x):
    return net.norm(net.a(x[:, 0])) - net.norm(net.a(x[:, 1]))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (every_state, True),
        (last_state, False),
        (at_each_step, True),
        (on_the_inputs_of_each_step, True),
        (twins, False),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_norm_in_a_recurrence_is_told_from_one_behind_it(body, expected):
    layers = {"norm": nn.BatchNorm1d(4), "rnn": nn.LSTM(4, 4, batch_first=True)}
    model, found = anatomy(body, x=torch.randn(5, 3, 4), cell=nn.GRUCell(4, 4), **layers)
    (fact,) = norm_facts(model, found)
    assert fact.recurrent is expected


def test_a_layer_that_runs_on_its_own_output_is_looped():
    def body(net, x):
        h = torch.zeros(len(x), 4)
        for t in range(3):
            h = torch.tanh(net.a(x[:, t]) + net.b(h))
        return net.d(net.c(net.c(h)))

    _, found = anatomy(body, x=torch.randn(5, 3, 4))
    assert looped(found) == {"b"}
