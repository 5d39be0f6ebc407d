"""Dropout stands after hidden activations and acts in training only."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.errors import BadInput, NotApplicable, ThresholdError
from fitwell.modules import Recurrent
from fitwell.recipe import Recipe
from fitwell.remedies import Dropout, LayerNorm
from fitwell.testing import RemedyContract

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))


def treated(model, rate=0.5, x=X):
    return Recipe(Dropout(rate)).apply(model, example_input=x).model


class TestDropout(RemedyContract):
    def make_remedy(self):
        return Dropout(0.3)

    def make_stack(self):
        return [Dropout(rate) for rate in (0.0, 0.3, 0.9)]

    def make_untreatable(self):
        return nn.Sequential(nn.Linear(6, 3), nn.Softmax(1)), X


def test_it_follows_every_hidden_activation_and_not_the_output():
    net = nn.Sequential(
        *(nn.Linear(6, 50), nn.Tanh(), nn.Linear(50, 50), nn.ReLU()),
        *(nn.Linear(50, 2), nn.Sigmoid()),
    )
    new = treated(net, 0.3)
    assert [type(m).__name__ for m in new[1]] == ["Tanh", "Dropout"]
    assert new[3].dropout.p == 0.3
    assert isinstance(new[5], nn.Sigmoid)
    x = torch.randn(200, 6)
    assert (new[:2].train()(x) == 0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert torch.equal(new.eval()(x), net.eval()(x))


def test_it_stands_behind_a_batch_norm_that_follows_the_activation():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 3))
    new = Recipe(Dropout(0.3)).apply(net, example_input=torch.randn(4, 6)).model
    assert isinstance(new[1], nn.ReLU)
    assert [type(m) for m in new[2]] == [nn.BatchNorm1d, nn.Dropout]


class Functional(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.norm = nn.BatchNorm1d(40)
        self.a, self.b = nn.Linear(6, 40), nn.Linear(40, 2)

    def forward(self, x):
        return self.b(self.function(self.norm(self.a(x))))


@pytest.mark.parametrize("function", [F.relu, F.leaky_relu, torch.relu])
def test_before_a_functional_relu_it_acts_exactly_as_after_it(function):
    new = treated(Functional(function), 0.4)
    assert isinstance(new.norm.dropout, nn.Dropout)
    z = torch.randn(9, 40)
    torch.manual_seed(0)
    before = function(F.dropout(z, 0.4))
    torch.manual_seed(0)
    assert torch.allclose(before, F.dropout(function(z), 0.4))


@pytest.mark.parametrize("function", [torch.tanh, F.gelu])
def test_other_functions_are_followed_inside_the_forward(function):
    net = Functional(function)
    new = treated(net, 0.4)
    assert new.dropout.p == 0.4
    assert torch.equal(new.eval()(X), net.eval()(X))
    seen = []
    new.b.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    new.train()(X)
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.4, abs=0.1)


class Deciding(Functional):
    def forward(self, x):
        return super().forward(x) if x.sum() > -1e9 else x


def test_a_function_in_a_forward_that_cannot_be_traced_is_named_with_its_line():
    with pytest.raises(NotApplicable, match=r"function tanh called at .*test_dropout.py:\d+"):
        treated(Deciding(torch.tanh))


def test_it_is_left_out_where_there_are_other_places():
    net = nn.Sequential(Deciding(torch.tanh), nn.ReLU(), nn.Linear(2, 2))
    new = treated(net, 0.4)
    assert type(new[0]) is Deciding
    assert new[1].dropout.p == 0.4


class FunctionalDropout(nn.Module):
    def __init__(self, always=False):
        super().__init__()
        self.always = always
        self.a, self.b, self.c = nn.Linear(6, 40), nn.Linear(40, 40), nn.Linear(40, 2)

    def forward(self, x):
        x = F.dropout(F.relu(self.a(x)), 0.1, self.training)
        x = F.dropout(torch.tanh(self.b(x)), 0.2, self.always or self.training)
        return self.c(x)


def test_functional_dropout_gets_the_rate():
    net = FunctionalDropout()
    new = treated(net, 0.6)
    rates = [m.p for m in new.modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.6, 0.6]
    assert torch.equal(new.eval()(X), net.eval()(X))
    seen = []
    new.c.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    new.train()(X)
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.6, abs=0.1)
    assert set(net.state_dict()) == set(new.state_dict())


def test_dropout_that_acts_in_evaluation_too_is_left_alone():
    new = treated(FunctionalDropout(always=True), 0.6)
    rates = [m.p for m in new.modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.6]
    assert not torch.equal(new.eval()(X), new.eval()(X))


def test_whole_channels_are_dropped_after_convolutions():
    net = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(5)),
        *(nn.ReLU(), nn.Linear(5, 2)),
    )
    x = torch.randn(6, 1, 8, 8)
    net(x)
    new = treated(net, x=x)
    assert isinstance(new[1].dropout, nn.Dropout2d)
    assert isinstance(new[5].dropout, nn.Dropout)


def test_layers_that_are_there_get_the_new_rate_and_no_second_one_follows():
    net = nn.Sequential(
        *(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.1), nn.Linear(5, 5), nn.ReLU()),
        nn.Linear(5, 2),
    )
    new = treated(net, 0.6)
    assert new[2].p == 0.6
    assert isinstance(new[1], nn.ReLU)
    assert new[4].dropout.p == 0.6
    assert net[2].p == 0.1


def test_one_relu_in_many_places_is_followed_everywhere():
    act = nn.ReLU()
    net = nn.Sequential(nn.Linear(6, 5), act, nn.Linear(5, 5), act, nn.Linear(5, 2))
    new = treated(net)
    assert new[1] is new[3]
    assert isinstance(new[1].dropout, nn.Dropout)


class Last(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn, self.out = rnn, nn.Linear(3, 3)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


STEPS = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0))


class TestVariationalDropout(RemedyContract):
    def make_remedy(self):
        return Dropout(0.3, kind="variational")

    def make_model(self):
        return Last(nn.GRU(6, 3, num_layers=2, dropout=0.1, batch_first=True))

    def make_batch(self):
        return STEPS, torch.arange(4) % 3

    def make_untreatable(self):
        return nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 3)), X


def test_an_lstm_of_several_layers_drops_between_them():
    net = nn.Sequential(nn.LSTM(6, 3, num_layers=2))
    assert treated(net, 0.2, torch.randn(2, 5, 6))[0].dropout == 0.2


def test_a_recurrent_layer_of_one_layer_drops_the_same_units_at_every_step():
    net = Last(nn.LSTM(6, 3, batch_first=True))
    new = treated(net, 0.2, STEPS)
    assert isinstance(new.rnn, Recurrent)
    assert (new.rnn.variational, new.rnn.norm) == (0.2, False)
    assert torch.equal(new.eval()(STEPS), net.eval()(STEPS))
    assert not torch.equal(new.train()(STEPS), new.train()(STEPS))


def test_variational_takes_the_place_of_dropout_between_the_layers():
    net = Last(nn.LSTM(6, 3, num_layers=2, dropout=0.4, batch_first=True))
    new = Recipe(Dropout(0.2, "variational")).apply(net, example_input=STEPS).model
    assert (new.rnn.variational, new.rnn.dropout) == (0.2, 0.0)
    again = Recipe(Dropout(0.3, "variational")).apply(new, example_input=STEPS)
    assert again.model.rnn.variational == 0.3
    assert str(again.changes).startswith("rnn: Recurrent(mode='LSTM', input_size=6")


def test_a_layer_that_is_normalised_stays_so():
    net = Last(nn.LSTM(6, 3, batch_first=True))
    recipe = Recipe(LayerNorm(eps=1e-3), Dropout(0.2))
    new = recipe.apply(net, example_input=STEPS).model
    assert (new.rnn.norm, new.rnn.eps, new.rnn.variational) == (True, 1e-3, 0.2)
    assert torch.equal(new.rnn.weight_hh_l0, net.rnn.weight_hh_l0)


def test_frozen_recurrent_layers_stay_and_the_rest_is_treated():
    net = nn.Sequential(Last(nn.LSTM(6, 3, batch_first=True)), nn.ReLU(), nn.Linear(3, 2))
    net[0].rnn.requires_grad_(False)
    new = treated(net, 0.2, STEPS)
    assert isinstance(new[0].rnn, nn.LSTM)
    assert new[1].dropout.p == 0.2


def test_cells_and_other_networks_are_refused_with_the_reason():
    class Looped(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTMCell(6, 3)

        def forward(self, x):
            return self.cell(x[:, 0])[0]

    with pytest.raises(NotApplicable, match="cell is called once a step, and knows no sequence"):
        treated(Looped(), x=STEPS)
    plain = Recipe(Dropout(0.2, kind="plain"))
    with pytest.raises(NotApplicable, match="no activation to follow stands between"):
        plain.apply(Last(nn.LSTM(6, 3, batch_first=True)), example_input=STEPS)


def images():
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Dropout2d(0.1), nn.Conv2d(4, 4, 3), nn.ReLU()),
        *(nn.Dropout(0.1), nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 2)),
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("auto", {"2": "Dropout2d", "5": "Dropout", "8.dropout": "Dropout"}),
        ("plain", {"2": "Dropout", "5": "Dropout", "8.dropout": "Dropout"}),
        ("spatial", {"2": "Dropout2d", "5": "Dropout2d"}),
    ],
)
def test_the_kind_says_what_is_dropped_and_where(kind, expected):
    recipe = Recipe(Dropout(0.3, kind=kind))
    new = recipe.apply(images(), example_input=torch.randn(2, 1, 8, 8)).model
    found = {n: m for n, m in new.named_modules() if type(m).__name__.startswith("Dropout")}
    assert {name: type(module).__name__ for name, module in found.items()} == expected
    assert all(module.p == 0.3 for module in found.values())


def test_spatial_dropout_needs_convolutions():
    net = nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 2))
    with pytest.raises(NotApplicable, match="no hidden activation follows convolutions"):
        Recipe(Dropout(kind="spatial")).apply(net, example_input=X)


def test_an_unknown_kind_is_refused():
    with pytest.raises(BadInput, match="Unknown dropout 'gaussian': expected one of auto, plain"):
        Dropout(kind="gaussian")


def test_a_transformer_layer_gets_the_new_rate():
    net = nn.TransformerEncoderLayer(6, 2, 12, dropout=0.1, batch_first=True)
    new = treated(nn.Sequential(net), 0.3, torch.randn(2, 5, 6))
    assert (new[0].dropout.p, new[0].dropout1.p, new[0].dropout2.p) == (0.3, 0.3, 0.3)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan"), True, "half"])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ThresholdError, match=r"rate must lie in \[0, 0.99\]"):
        Dropout(rate)


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.step, self.act, self.out = nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.act(self.step(self.act(self.step(x)))))


def test_an_activation_in_a_loop_is_named_as_the_reason():
    with pytest.raises(NotApplicable, match=r"ReLU \(act\) works on the state of a loop"):
        Recipe(Dropout()).apply(Loop(), example_input=torch.ones(4, 4))
