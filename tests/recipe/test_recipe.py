"""A recipe is a value: ordered, comparable, and the same after any round trip."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fitwell.errors import BadInput, NotApplicable
from fitwell.recipe import Recipe
from fitwell.records import RemedySpec
from fitwell.remedies import (
    L1,
    L2,
    LSUV,
    REMEDIES,
    Activation,
    AdaptiveClip,
    Augment,
    BatchNorm,
    ClipNorm,
    ClipValue,
    CutMix,
    Dropout,
    EarlyStopping,
    FoldBatchNorm,
    GroupNorm,
    Initialization,
    LabelSmoothing,
    LayerNorm,
    LearningRate,
    Mixup,
    PercentileClip,
    Prune,
    ScaleInputs,
    Shrink,
    WeightAverage,
)
from fitwell.remedies.activation import KINDS
from fitwell.remedies.augment import KINDS as KINDS_OF_DATA
from fitwell.remedies.dropout import KINDS as KINDS_OF_DROPOUT
from fitwell.remedies.initialization import SCHEMES
from fitwell.remedies.prune import IMPORTANCES


def numbers(low, high):
    return st.floats(low, high, exclude_min=low == 0, allow_nan=False, allow_subnormal=False)


ANY_REMEDY = {
    Activation: st.one_of(
        st.builds(Activation, st.sampled_from(list(KINDS))),
        st.builds(Activation, st.just("leaky_relu"), slope=numbers(0, 1)),
    ),
    AdaptiveClip: st.builds(AdaptiveClip, numbers(0, 100), numbers(0, 1)),
    Augment: st.builds(Augment, numbers(0, 1), st.sampled_from(KINDS_OF_DATA), st.booleans()),
    BatchNorm: st.builds(BatchNorm, numbers(0, 1), numbers(0, 1)),
    ClipNorm: st.builds(ClipNorm, numbers(0, 1e6)),
    ClipValue: st.builds(ClipValue, numbers(0, 1e6)),
    CutMix: st.builds(CutMix, numbers(0, 10), st.sampled_from(["auto", "image", "signal"])),
    Dropout: st.builds(Dropout, numbers(0, 0.99), st.sampled_from(KINDS_OF_DROPOUT)),
    EarlyStopping: st.builds(EarlyStopping, st.integers(1, 999), numbers(0, 1e6)),
    FoldBatchNorm: st.builds(FoldBatchNorm),
    GroupNorm: st.builds(
        GroupNorm, st.integers(1, 999), st.sampled_from(["fit", "skip"]), numbers(0, 1)
    ),
    Initialization: st.builds(Initialization, st.sampled_from(SCHEMES), st.booleans()),
    L1: st.builds(L1, numbers(0, 1000)),
    L2: st.builds(L2, numbers(0, 1000), st.booleans()),
    LSUV: st.builds(LSUV, numbers(0, 1), st.integers(1, 99)),
    LabelSmoothing: st.builds(LabelSmoothing, numbers(0, 1)),
    LayerNorm: st.builds(LayerNorm, numbers(0, 1)),
    Prune: st.builds(Prune, numbers(0, 0.99), st.sampled_from(IMPORTANCES)),
    ScaleInputs: st.builds(ScaleInputs),
    LearningRate: st.builds(
        LearningRate,
        numbers(0, 1000),
        st.integers(0, 99),
        st.sampled_from(["constant", "cosine", "linear"]),
        st.integers(100, 999),
        numbers(0, 1),
    ),
    Mixup: st.builds(Mixup, numbers(0, 10)),
    PercentileClip: st.builds(PercentileClip, numbers(0, 100), st.integers(1, 999)),
    Shrink: st.builds(Shrink, numbers(0, 1), st.none() | st.integers(0, 99)),
    WeightAverage: st.builds(
        WeightAverage, st.sampled_from(["ema", "swa"]), numbers(0, 0.999), st.integers(0, 99)
    ),
}
OF_TRAINED = {FoldBatchNorm, Prune}
"""What does not go with a remedy of training."""
KINDS_TOGETHER = st.one_of(
    st.lists(st.sampled_from([kind for kind in ANY_REMEDY if kind not in OF_TRAINED]), unique=True),
    st.lists(st.sampled_from(sorted(OF_TRAINED, key=str)), unique=True),
)
RECIPES = KINDS_TOGETHER.flatmap(
    lambda kinds: st.tuples(*(ANY_REMEDY[kind] for kind in kinds)).map(lambda r: Recipe(*r))
)


def test_every_remedy_takes_part_in_the_round_trips():
    assert {kind.__name__ for kind in ANY_REMEDY} == set(REMEDIES)


@given(RECIPES)
def test_json_text_and_specs_give_the_same_recipe_again(recipe):
    for again in (
        Recipe.from_json(recipe.to_json()),
        Recipe.from_text(str(recipe)),
        Recipe(*recipe.specs),
        Recipe(*reversed(recipe.remedies)),
    ):
        assert again == recipe
        assert hash(again) == hash(recipe)
        assert str(again) == str(recipe)


def test_the_order_is_that_of_the_stages():
    recipe = Recipe(ClipNorm(), L1(), EarlyStopping(), L2(), Dropout(), BatchNorm(), Activation())
    names = ["Activation", "BatchNorm", "Dropout", "L2", "ClipNorm", "L1", "EarlyStopping"]
    assert [spec.name for spec in recipe.specs] == names
    assert len(recipe) == 7
    assert list(recipe) == list(recipe.remedies)


def test_the_text_is_what_a_user_types():
    recipe = Recipe(L2(1e-3, decoupled=False), Dropout(0.3), Activation("gelu"), ClipNorm())
    assert str(recipe) == "activation(gelu)+dropout(0.3)+l2(0.001, decoupled=False)+clip_norm()"
    typed = "clipnorm + Dropout(rate=0.3) + activation('gelu') + l2(1e-3, decoupled=False)"
    assert Recipe.from_text(typed) == recipe
    assert str(Recipe()) == "untreated"
    assert Recipe.from_text("") == Recipe()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dropout(0.5", "Cannot read the recipe"),
        ("dropout(0.5)*l2()", "Cannot read the recipe"),
        ("dropout(f(1))", "Cannot read the recipe"),
        ("dropout(**x)", "Cannot read the recipe"),
        ("dropuot(0.5)", "Did you mean Dropout"),
        ("dropout(0.5, plain, 1)", "Dropout takes 2 arguments at most: got 3"),
        ("l2(1, strength=2)", "L2 is given strength twice"),
        ("dropout(p=0.5)", "Dropout takes no argument 'p'"),
        ("dropout(1.5)", "rate must lie in"),
        ("dropout+dropout(0.2)", "Dropout is there twice"),
    ],
)
def test_a_text_that_is_no_recipe_is_refused_with_the_reason(text, message):
    with pytest.raises(BadInput, match=message):
        Recipe.from_text(text)


def test_json_may_be_a_recipe_a_result_or_a_bare_list():
    remedies = [{"name": "dropout", "args": {"rate": 0.2}}, {"name": "L2"}]
    for data in (
        remedies,
        {"schema": 1, "recipe": remedies},
        {"schema": 1, "task": "t", "recipe": remedies},
    ):
        assert Recipe.from_json(json.dumps(data)) == Recipe(Dropout(0.2), L2())


@pytest.mark.parametrize("text", ["{", "3", "{}", '["dropout"]', '{"schema": 2, "recipe": []}'])
def test_json_that_is_no_recipe_is_refused(text):
    with pytest.raises(BadInput, match="Expected a recipe"):
        Recipe.from_json(text)


def test_what_is_no_remedy_is_refused():
    with pytest.raises(BadInput, match="Expected remedies, got 'dropout'"):
        Recipe("dropout")


def test_without_leaves_one_out():
    recipe = Recipe(Dropout(0.2), L2())
    assert recipe.without("L2") == recipe.without(L2()) == Recipe(Dropout(0.2))
    assert recipe.without(RemedySpec("Dropout", {})) == Recipe(L2())
    with pytest.raises(BadInput, match="There is no L1"):
        recipe.without("L1")


def test_a_recipe_cannot_be_changed():
    with pytest.raises(AttributeError):
        Recipe().remedies = (L1(),)


def test_the_arms_of_a_comparison_share_the_weights_of_the_remedies_they_share():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    x = torch.randn(4, 6)
    alone = Recipe(Initialization()).apply(model, example_input=x, seed=7).model
    more = Recipe(Initialization(), Dropout(), BatchNorm()).apply(model, example_input=x, seed=7)
    assert torch.equal(more.model[0].layer.weight, alone[0].weight)
    other = Recipe(Initialization()).apply(model, example_input=x, seed=8).model
    assert not torch.equal(other[0].weight, alone[0].weight)


def backbone_and_head():
    """A frozen part, as taken from elsewhere, and a head that is trained."""
    frozen = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU())
    return nn.Sequential(
        frozen.requires_grad_(False), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)
    ), frozen


@pytest.mark.parametrize("remedy", [Initialization(), BatchNorm(), LayerNorm()])
def test_frozen_layers_keep_their_weights_and_what_they_put_out(remedy):
    net, frozen = backbone_and_head()
    x = torch.randn(7, 4)
    treated = Recipe(remedy).apply(net, example_input=x)
    assert torch.equal(treated.model[0](x), frozen(x))
    assert treated.changes.items
    assert not any(change.where.startswith("0.") for change in treated.changes.items)


@pytest.mark.parametrize("remedy", [Initialization(), BatchNorm(), Shrink()])
def test_what_could_only_change_frozen_layers_is_refused(remedy):
    net = backbone_and_head()[0].requires_grad_(False)
    with pytest.raises(NotApplicable, match=r"would change frozen layers[\s\S]*frozen: 0\.0"):
        Recipe(remedy).apply(net, example_input=torch.randn(7, 4))


def test_dropout_may_stand_behind_a_frozen_layer():
    net, _ = backbone_and_head()
    treated = Recipe(Dropout(0.3)).apply(net, example_input=torch.randn(7, 4))
    assert sum(isinstance(m, nn.Dropout) for m in treated.model.modules()) == 3


def test_code_of_a_recipe_without_edits_needs_no_input():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, *, left, right):
            return self.layer(left - right)

    assert "before_step" in Recipe(ClipNorm(1.0)).to_code(Odd())
    with pytest.raises(BadInput, match="example_input="):
        Recipe(Initialization()).to_code(Odd())


def test_a_single_layer_is_initialised_and_otherwise_refused_as_the_output():
    net, x = nn.Linear(4, 2), torch.randn(7, 4)
    treated = Recipe(Initialization("xavier_uniform")).apply(net, example_input=x)
    assert {change.where for change in treated.changes.items} == {"weight", "bias"}
    with pytest.raises(NotApplicable, match="Linear is the output"):
        Recipe(BatchNorm()).apply(net, example_input=x)
