"""A forward whose calls of functions were changed is the same module, but for these calls."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.modules.tracing import call_module

X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Functional calls, a bare parameter, an unused child, an attribute, functional dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(2, 2)
        self.scale = nn.Parameter(torch.full((4,), 2.0))
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)
        self.note = "kept"

    def forward(self, x, mask=None):
        x = torch.sigmoid(self.a(x)) * self.scale
        if mask is not None:
            x = x * mask
        x = F.dropout(x.tanh(), 0.5, self.training)
        return self.b(torch.sigmoid(x).view(x.size(0), -1))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


def test_the_same_function_as_a_module_gives_the_same_output(net):
    expected, keys = net.eval()(X), list(net.state_dict())
    call_module(net, "sigmoid", 1, "act", nn.Sigmoid())
    call_module(net, "sigmoid", 0, "act", nn.Sigmoid())
    assert torch.equal(net(X), expected)
    assert list(net.state_dict()) == keys
    assert net.note == "kept"
    assert {"act", "act2", "unused"} <= {name for name, _ in net.named_children()}


def test_another_function_acts_only_where_it_was_asked_for(net):
    a, b, scale = net.a, net.b, net.scale
    call_module(net.eval(), "sigmoid", 1, "act", nn.ReLU())
    assert torch.allclose(net(X), b(torch.relu((torch.sigmoid(a(X)) * scale).tanh())))


def test_a_module_that_follows_leaves_the_function_in_place(net):
    expected = copy.deepcopy(net.eval())
    call_module(net, "tanh", 0, "after", nn.Identity(), follow=True)
    assert torch.equal(net(X), expected(X))


def test_functional_dropout_follows_the_mode_after_the_change(net):
    call_module(net, "tanh", 0, "act", nn.Tanh())
    assert torch.equal(net.eval()(X), net(X))
    assert not torch.equal(net.train()(X), net(X))
    plain = Net().train()
    plain.load_state_dict(net.state_dict())
    torch.manual_seed(3)
    got = net(X)
    torch.manual_seed(3)
    assert torch.equal(got, plain(X))


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_keep_everything_and_can_be_changed_again(net, again):
    call_module(net.eval(), "tanh", 0, "act", nn.Tanh())
    expected, keys = net(X), list(net.state_dict())
    twin = again(again(net))
    assert torch.equal(twin(X), expected)
    assert list(twin.state_dict()) == keys
    assert twin.note == "kept"
    assert twin.a is not net.a
    call_module(twin, "sigmoid", 0, "act", nn.Sigmoid())
    assert torch.equal(twin(X), expected)


class Deciding(Net):
    def forward(self, x):
        return self.b(x.tanh() if x.sum() > 0 else x)


class Making(Net):
    def forward(self, x):
        return self.b(x.tanh() + torch.randn(4))


class Noisy(Net):
    def forward(self, x):
        x = x.tanh()
        return self.b(x + 1 if self.training else x)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Deciding, "control flow"),
        (Making, "does not depend on its input"),
        (Noisy, "different things in training"),
    ],
)
def test_what_a_trace_would_falsify_is_refused_and_left_alone(kind, reason):
    model = kind()
    before = type(model), list(model._modules), model.training
    with pytest.raises(RuntimeError, match=reason):
        call_module(model, "tanh", 0, "act", nn.Tanh())
    assert (type(model), list(model._modules), model.training) == before


def test_a_call_that_is_not_there_is_refused(net):
    with pytest.raises(RuntimeError, match="calls gelu 0 times"):
        call_module(net, "gelu", 0, "act", nn.GELU())


def test_arguments_keep_their_default_and_refuse_another_value(net):
    expected = net.eval()(X)
    call_module(net, "tanh", 0, "act", nn.Tanh())
    for twin in (net, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(X, mask=None), expected)
        assert torch.equal(twin(x=X), expected)
        with pytest.raises(TypeError, match=r"mask=.* is not what this forward was made for: None"):
            twin(X, torch.ones(4))


def test_functional_dropout_is_replaced_as_the_function_that_it_was(net):
    expected = net.eval()(X)
    call_module(net, "dropout", 0, "drop", nn.Dropout(0.9))
    dropping = [name for name, m in net.named_modules() if isinstance(m, nn.Dropout)]
    assert dropping == ["drop"]
    assert torch.equal(net.eval()(X), expected)
    assert net.drop.p == 0.9


def test_dropout_that_acts_in_evaluation_too_is_refused():
    class Always(nn.Module):
        def forward(self, x):
            return F.dropout(x, 0.5, training=True)

    with pytest.raises(RuntimeError, match="it drops in evaluation too"):
        call_module(Always(), "dropout", 0, "drop", nn.Dropout(0.1))
