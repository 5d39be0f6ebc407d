"""What does not go together is named before training, and nothing else is."""

import warnings

import pytest
import torch
from torch import nn

import fitwell
from fitwell.errors import BadInput
from fitwell.recipe import ConflictWarning, Recipe
from fitwell.remedies import (
    L2,
    Activation,
    BatchNorm,
    ClipNorm,
    ClipValue,
    Dropout,
    Initialization,
    LayerNorm,
)

X = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))


def mlp(*between):
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), *between, nn.Linear(8, 3))


def named(*remedies, model=None, **options):
    found = Recipe(*remedies).conflicts(model or mlp(), example_input=X, **options)
    return [conflict.remedies for conflict in found]


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.hidden, self.out = nn.GRU(6, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(self.rnn(x[None])[0][-1])))


def test_what_stands_in_for_each_other_is_named_without_a_network():
    found = Recipe(ClipNorm(), ClipValue(), BatchNorm(), LayerNorm()).conflicts()
    assert [c.remedies for c in found] == [("ClipNorm", "ClipValue"), ("BatchNorm", "LayerNorm")]
    assert str(found[0]).startswith("ClipNorm and ClipValue: the second clips")


@pytest.mark.parametrize(
    "recipe",
    [
        (Dropout(), ClipNorm(), L2()),
        (Activation("leaky_relu"), Initialization(), BatchNorm(), Dropout()),
        (LayerNorm(), Initialization("he_normal")),
    ],
)
def test_what_goes_together_is_not_named(recipe):
    assert named(*recipe, batch_size=32) == []


def test_dropout_right_before_a_batch_norm_is_named_and_behind_it_is_not():
    before = mlp(nn.Dropout(0.1), nn.BatchNorm1d(8))
    behind = nn.Sequential(
        *(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))
    )
    assert named(Dropout(0.3), model=before) == [("Dropout",)]
    assert named(Dropout(0.3), model=behind) == []


def test_decay_on_weights_that_a_norm_follows_is_named():
    assert named(L2(), BatchNorm()) == [("L2",)]
    assert named(L2()) == []


def test_batch_norm_in_a_recurrent_network_is_named():
    assert named(BatchNorm(), model=Reader()) == [("BatchNorm",)]


@pytest.mark.parametrize(("rows", "expected"), [(7, [("BatchNorm",)]), (8, []), (None, [])])
def test_batch_norm_wants_eight_rows(rows, expected):
    assert named(BatchNorm(), batch_size=rows) == expected


def test_xavier_under_relu_is_named_and_under_tanh_is_not():
    assert named(Initialization("xavier_normal")) == [("Initialization",)]
    tanh = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    assert named(Initialization("xavier_normal"), model=tanh) == []


def test_selu_beside_a_norm_is_named():
    sigmoid = nn.Sequential(nn.Linear(6, 8), nn.Sigmoid(), nn.Linear(8, 3))
    found = named(Activation("selu"), LayerNorm(), model=sigmoid)
    assert ("Activation", "LayerNorm") in found


def test_applying_warns_of_each_conflict_once():
    with pytest.warns(ConflictWarning, match="ClipNorm and ClipValue") as seen:
        Recipe(ClipNorm(), ClipValue()).apply(mlp(), example_input=X)
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConflictWarning)
        Recipe(ClipNorm()).apply(mlp(), example_input=X)


def test_a_comparison_says_conflicts_before_its_runs(short_task):
    said = []

    class Telling:
        def stage(self, name, total):
            said.append(name)

        def advance(self, n=1): ...

        def say(self, text):
            said.append(text)

        def done(self): ...

    arms = {"both": Recipe(ClipNorm(), ClipValue())}
    fitwell.compare(short_task, arms, seeds=2, progress=Telling())
    assert said[0].startswith("both: ClipNorm and ClipValue")
    assert said[1] == "comparing"


@pytest.fixture
def short_task():
    y = torch.arange(90) % 3
    x = torch.randn(90, 6, generator=torch.Generator().manual_seed(1)) + y[:, None]
    return fitwell.Task("short", mlp, (x, y), "cross_entropy", "accuracy", epochs=1)


def test_a_remedy_of_a_trained_network_does_not_go_with_what_trains_it():
    pytest.importorskip("torch_pruning")
    prune = fitwell.remedies.REMEDIES.get("Prune")
    fold = fitwell.remedies.REMEDIES.get("FoldBatchNorm")
    with pytest.raises(BadInput, match="FoldBatchNorm is for a trained network"):
        Recipe(fold(), BatchNorm())
    with pytest.raises(BadInput, match="does not go with Initialization"):
        Recipe(prune(), Initialization())
    assert len(Recipe(prune(), fold())) == 2
