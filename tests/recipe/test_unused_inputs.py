"""Which input features no weight reads any more."""

import pytest
import torch
from torch import nn

from fitwell.recipe import Recipe
from fitwell.remedies import L1, ScaleInputs


def unused(model, example, *empty):
    """Empty weights given as (module path, parameter, index), and ask."""
    treated = Recipe(L1()).apply(model, example_input=example)
    with torch.no_grad():
        for path, name, index in empty:
            treated.model.get_submodule(path).get_parameter(name)[index] = 0.0
    return treated.unused_inputs()


COLUMN = (slice(None), 2)


def test_a_column_of_zeros_is_a_feature_that_is_not_used():
    model = nn.Sequential(nn.Dropout(0.1), nn.BatchNorm1d(4), nn.Linear(4, 3), nn.Linear(3, 2))
    assert unused(model, torch.randn(5, 4)) == ()
    assert unused(model, torch.randn(5, 4), ("2", "weight", COLUMN)) == (2,)
    assert unused(model, torch.randn(5, 4), ("2", "weight", ...)) == (0, 1, 2, 3)


def test_behind_a_layer_norm_every_feature_counts():
    model = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3))
    assert unused(model, torch.randn(5, 4), ("1", "weight", COLUMN)) == ()


class Two(nn.Module):
    def __init__(self, shortcut=False):
        super().__init__()
        self.a, self.b, self.shortcut = nn.Linear(4, 4), nn.Linear(4, 4), shortcut

    def forward(self, x):
        return self.a(x) * self.b(x) + (x if self.shortcut else 0)


def test_a_feature_is_used_while_one_of_the_readers_reads_it():
    one, both = ("a", "weight", COLUMN), ("b", "weight", COLUMN)
    assert unused(Two(), torch.randn(5, 4), one) == ()
    assert unused(Two(), torch.randn(5, 4), one, both) == (2,)
    assert unused(Two(shortcut=True), torch.randn(5, 4), one, both) == ()


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn, self.out = kind(4, 5, batch_first=True, bidirectional=True), nn.Linear(10, 2)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_recurrent_layer_reads_in_both_directions(kind):
    forward, backward = "weight_ih_l0", "weight_ih_l0_reverse"
    x = torch.randn(3, 6, 4)
    assert unused(Recurrent(kind), x, ("rnn", forward, COLUMN)) == ()
    columns = [("rnn", name, COLUMN) for name in (forward, backward)]
    assert unused(Recurrent(kind), x, *columns) == (2,)


@pytest.mark.parametrize(("groups", "index"), [(1, (slice(None), 2)), (2, (slice(3, 6), 0))])
def test_the_features_of_an_image_are_its_channels_in_groups_too(groups, index):
    model = nn.Sequential(nn.Conv2d(4, 6, 3, groups=groups), nn.Flatten(), nn.Linear(54, 2))
    assert unused(model, torch.randn(2, 4, 5, 5), ("0", "weight", index)) == (2,)


class Beside(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv1d(3, 2, 4), nn.Linear(12, 2)

    def forward(self, x):
        return self.a(x).squeeze(2) + self.b(x.flatten(1))


def test_readers_that_count_features_in_different_ways_are_not_compared():
    model = Beside()
    assert unused(model, torch.randn(5, 3, 4), ("a", "weight", ...), ("b", "weight", ...)) == ()


def test_behind_a_flattening_features_are_pixels():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    assert unused(model, torch.randn(2, 1, 3, 4), ("1", "weight", (slice(None), 7))) == (7,)


def test_nothing_is_said_of_what_cannot_be_told():
    ids = torch.arange(4)
    assert (
        unused(nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2)), ids, ("0", "weight", ...)) == ()
    )
    treated = Recipe().apply(nn.Sequential(nn.Linear(3, 2)), example_input=None)
    nn.init.zeros_(treated.model[0].weight)
    assert treated.unused_inputs() == ()


def test_planted_noise_is_found_and_what_matters_is_kept():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1500, 12, generator=generator)
    noise = {1, 3, 4, 7, 9, 10}
    real = [i for i in range(12) if i not in noise]
    y = (x[:, real] @ torch.tensor([1.0, -1.0, 1.5, -1.5, 1.0, 2.0]) > 0).long()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 2))
    treated = Recipe(L1(0.03)).apply(model, example_input=x)
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.3)
    for _ in range(300):
        optimizer.zero_grad()
        nn.functional.cross_entropy(treated.model(x), y).backward()
        optimizer.step()
    assert set(treated.unused_inputs()) == noise
    assert treated.effects()[-1] == "L1 left 6 input features unused: 1, 3, 4, 7, 9, 10"


def test_a_long_list_is_cut_in_the_sentence():
    treated = Recipe(L1()).apply(nn.Sequential(nn.Linear(30, 2)), example_input=torch.ones(1, 30))
    nn.init.zeros_(treated.model[0].weight)
    assert (
        treated.effects()[-1] == "L1 left 30 input features unused: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"
    )


def test_a_feature_behind_scaled_inputs_keeps_its_place():
    x = 5 * torch.randn(64, 4, generator=torch.Generator().manual_seed(0)) + 1
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    treated = Recipe(L1(), ScaleInputs()).apply(model, example_input=x, data=x)
    with torch.no_grad():
        treated.model.get_parameter("0.layer.weight")[COLUMN] = 0.0
    assert treated.unused_inputs() == (2,)


class PutsOutItsInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x), x.view(-1, 4)


def test_features_that_are_put_out_as_they_are_are_used():
    assert unused(PutsOutItsInput(), torch.randn(5, 4), ("layer", "weight", ...)) == ()
