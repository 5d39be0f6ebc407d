"""The printed code does the same as the recipe, weight for weight, without fitwell."""

import builtins
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import ClassVar

import pytest
import torch
from torch import Generator, nn
from torch.nn import functional as F

from fitwell.errors import BadInput
from fitwell.interfaces import Remedy, Stage
from fitwell.recipe import Recipe


def mlp():
    return nn.Sequential(
        *(nn.Linear(6, 8), nn.Sigmoid(), nn.Dropout(0.1), nn.Linear(8, 8), nn.Tanh()),
        nn.Linear(8, 3),
    )


def cnn():
    act = nn.ReLU()
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), act, nn.Conv2d(4, 6, 3), act, nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(6 * 4, 10), act, nn.Linear(10, 3)),
    )


def unet():
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 2, stride=2), nn.ReLU(), nn.ConvTranspose2d(4, 2, 2, stride=2)),
        *(nn.Flatten(), nn.Linear(128, 3)),
    )


def mlp_of_signals():
    return nn.Sequential(nn.Flatten(), nn.Linear(27, 8), nn.Tanh(), nn.Linear(8, 3))


def normed():
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.out = nn.LSTM(3, 5, num_layers=2, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = F.dropout(torch.sigmoid(self.a(x)), 0.1, self.training)
        return self.out(torch.tanh(self.b(x)))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.block, self.out = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = torch.relu(self.enter(x))
        return self.out(x + self.block(x))


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.GRUCell(3, 5), nn.Linear(5, 3)

    def forward(self, x):
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.out(state)


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = F.dropout(torch.tanh(self.a(x)), 0.1, self.training)
        x = F.dropout(torch.tanh(self.b(x)), 0.1, self.training)
        return self.c(torch.tanh(x))


def normalised():
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU()),
        *(nn.Flatten(), nn.LayerNorm(96), nn.Linear(96, 3)),
    )


CASES = {
    "deep": (mlp, (6,), "activation(leaky_relu, slope=0.2)+batch_norm+initialization+clip_norm"),
    "norms": (mlp, (6,), "layer_norm(eps=0.001)+dropout(0.3)+l1(0.01)+l2(0.1)+clip_value(0.01)"),
    "coupled": (mlp, (6,), "l2(0.5, decoupled=False)+clip_norm(0.05)+label_smoothing+augment"),
    "smaller": (mlp, (6,), "shrink(0.5, layers=1)+batch_norm(0.5)+early_stopping(2)"),
    "images": (cnn, (1, 8, 8), "augment(flip=True)+batch_norm+dropout(0.2)+initialization"),
    "half": (cnn, (1, 8, 8), "shrink(0.5)+layer_norm+augment(0.9, kind=image)+l2"),
    "steps": (Recurrent, (7, 3), "initialization+dropout(0.4)+augment(0.8)+clip_norm(0.1)"),
    "bag": (mlp, (6,), "augment(kind=bag)+activation(prelu)"),
    "functions": (Functional, (6,), "activation(elu)+batch_norm+initialization+dropout(0.2)"),
    "levelled": (mlp, (6,), "scale_inputs+lsuv+activation(relu)"),
    "scaled": (cnn, (1, 8, 8), "scale_inputs+batch_norm+lsuv(0.01, rounds=3)+clip_norm"),
    "tied": (Residual, (6,), "shrink(0.5)+dropout(0.2)"),
    "clipped": (mlp, (6,), "percentile_clip(50, window=3)+l2(0.1, decoupled=False)+l1(0.01)"),
    "units": (unet, (1, 8, 8), "adaptive_clip(0.02)+l1(0.001)+augment(kind=image)"),
    "mixed": (mlp, (6,), "mixup(0.5)+label_smoothing+augment(kind=table)"),
    "cut": (cnn, (1, 8, 8), "cutmix+l2"),
    "signals": (mlp_of_signals, (3, 9), "augment(0.8, kind=signal)+mixup"),
    "averaged": (normed, (6,), "weight_average(decay=0.9)+clip_value(0.1)"),
    "equally": (mlp, (6,), "weight_average(swa, start=2)+learning_rate(2.0, warmup=3)"),
    "falling": (mlp, (6,), "learning_rate(warmup=1, schedule=cosine, steps=4, min_factor=0.1)"),
    "normed": (Recurrent, (7, 3), "layer_norm(0.001)+dropout(0.4, variational)+initialization"),
    "cells": (Looped, (7, 3), "layer_norm+initialization"),
    "dropping": (Dropping, (6,), "dropout(0.5)"),
    "layered": (normalised, (1, 8, 8), "layer_norm+dropout(0.3)"),
    "grouped": (normalised, (1, 8, 8), "group_norm(2)+dropout(0.3, spatial)"),
    "batched": (normalised, (1, 8, 8), "batch_norm"),
    "nothing": (mlp, (6,), "untreated"),
}


def run(source):
    """Execute source in a namespace of its own in which fitwell cannot be imported."""

    def guarded(name, *args, **kwargs):
        if name.partition(".")[0] == "fitwell":
            raise ImportError("the printed code must not need fitwell")
        return original(name, *args, **kwargs)

    original = builtins.__import__
    namespace = {"__builtins__": {**vars(builtins), "__import__": guarded}, "__name__": "printed"}
    exec(compile(source, "printed.py", "exec"), namespace)
    return namespace


def assert_same(first, second):
    first, second = first.state_dict(), second.state_dict()
    assert list(first) == list(second)
    for key in first:
        assert torch.equal(first[key], second[key]), key


@pytest.mark.parametrize("case", CASES)
def test_the_printed_code_gives_the_same_weights_and_the_same_training(case):
    make, shape, text = CASES[case]
    torch.manual_seed(0)
    model, recipe = make(), Recipe.from_text(text)
    x, y = torch.randn(12, *shape), torch.arange(12) % 3
    treated = recipe.apply(model, example_input=x, data=x, seed=5)
    printed = run(recipe.to_code(model, example_input=x, seed=5))
    state = torch.get_rng_state()
    twin = printed["treat"](
        model, *([x] if "rows" in signature(printed["treat"]).parameters else [])
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert repr(twin) == repr(treated.model)
    assert_same(twin, treated.model)

    optimizer = treated.optimizer(torch.optim.Adam, lr=0.01)
    scheduler, loss_fn = treated.scheduler(optimizer), treated.loss(F.cross_entropy)
    torch.manual_seed(1)
    for _ in range(4):
        a, b = treated.batch(x, y)
        optimizer.zero_grad()
        loss_fn(treated.model(a), b).backward()
        optimizer.step()
        scheduler.step()
    torch.manual_seed(1)
    averages = train_printed(printed, twin, x, y, steps=4)
    assert_same(twin, treated.model)
    if averages:
        with treated.averaged(), printed["shown"](twin, averages):
            assert_same(twin, treated.model)
        assert_same(twin, treated.model)
        printed["show"](twin, averages)
        treated.finish()
        assert_same(twin, treated.model)


def test_new_modules_take_the_mode_of_what_they_stand_for():
    x, recipe = torch.randn(4, 6), Recipe.from_text("batch_norm+activation(relu)")
    model = mlp().eval()
    treated = recipe.apply(model, example_input=x).model
    twin = run(recipe.to_code(model, example_input=x))["treat"](model)
    modes = [m.training for m in twin.modules()]
    assert modes == [m.training for m in treated.modules()]
    assert not twin[0].norm.training
    assert not twin[1].training


def train_printed(printed, model, x, y, *, steps):
    """The loop that the comment at the end of the printed code shows."""
    generator = Generator().manual_seed(5)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss_fn, memory, averages = loss_of(printed), [{}] * ("remember_norm" in printed), {}
    factor = printed.get("rate_factor", lambda step: 1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    for step in range(steps):
        a, b = printed["on_batch"](x, y, generator) if "on_batch" in printed else (x, y)
        loss = loss_fn(model(a), b)
        optimizer.zero_grad()
        loss.backward()
        if "before_step" in printed:
            printed["before_step"](model, *memory)
        optimizer.step()
        if "after_step" in printed:
            printed["after_step"](model, optimizer.param_groups[0]["lr"])
        if "average" in printed:
            averages = printed["average"](averages, model, step)
        scheduler.step()
    return averages


def loss_of(printed):
    """The loss as the comment at the end of the printed code builds it."""

    def smoothed(outputs, targets):
        loss = F.cross_entropy(outputs, targets)
        if "training_loss" in printed:
            loss = printed["training_loss"](loss, outputs, targets)
        return loss

    if "mixed_loss" not in printed:
        return smoothed
    return lambda outputs, targets: printed["mixed_loss"](smoothed, outputs, targets)


def test_only_what_the_recipe_needs_is_printed():
    x = torch.randn(4, 6)
    source = Recipe.from_text("clip_norm(2.0)").to_code(mlp(), example_input=x)
    names = set(run(source)) - {"__builtins__", "__name__", "annotations"}
    assert names == {
        *("copy", "Mapping", "torch", "Tensor", "nn", "clip_by_norm", "treat", "before_step"),
        *("global_norm", "scaled_to", "along", "Any"),
    } | ({"__doc__", "__annotations__"} & names)
    assert "fitwell" not in source


def test_printed_early_stopping_stops_and_restores_like_the_recipe():
    x = torch.randn(4, 6)
    recipe = Recipe.from_text("early_stopping(2)")
    model = mlp()
    treated = recipe.apply(model, example_input=x)
    printed = run(recipe.to_code(model, example_input=x))
    best = printed["Best"](twin := printed["treat"](model), printed["should_stop"])
    for epoch, loss in enumerate([2.0, float("nan"), 1.0, 1.5, 1.5]):
        for net in (twin, treated.model):
            with torch.no_grad():
                net[0].weight.fill_(epoch)
        assert best.note(loss) == treated.should_stop(val_loss=loss) == (epoch == 4)
    best.restore()
    treated.finish()
    assert_same(twin, treated.model)
    assert twin[0].weight.unique().tolist() == [2.0]


def test_the_usage_at_the_end_is_a_comment_with_the_functions_in_order():
    recipe = Recipe.from_text("augment+label_smoothing+clip_norm+l2+early_stopping")
    source = recipe.to_code(mlp(), example_input=torch.randn(4, 6))
    usage = source[source.index("# Use:") :]
    words = ["treat(", "on_batch(", "training_loss(", "backward(", "before_step(", "after_step("]
    places = [usage.index(word) for word in words]
    assert places == sorted(places)
    assert all(line.startswith("#") for line in usage.splitlines())


def test_a_remedy_without_plain_functions_cannot_be_printed():
    @dataclass(frozen=True)
    class Mine(Remedy):
        stage: ClassVar[Stage] = Stage.GRADIENT

        def on_gradients(self, gradients, parameters, memory):
            return gradients

    recipe = Recipe(Mine())
    with pytest.raises(BadInput, match="Mine cannot be printed: it names no plain function"):
        recipe.to_code(mlp(), example_input=torch.randn(4, 6))


def test_code_needs_no_example_where_the_first_layer_tells_the_input() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.Sigmoid(), nn.Linear(6, 2))
    recipe = Recipe.from_text("activation+initialization")
    assert recipe.to_code(model) == recipe.to_code(model, example_input=torch.zeros(2, 4))


def batch_normed():
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


@pytest.mark.parametrize("text", ["fold_batch_norm", "prune(0.5)", "prune(0.3)+fold_batch_norm"])
def test_the_printed_code_folds_and_prunes_a_trained_network(text):
    model, x, recipe = batch_normed(), torch.randn(12, 6), Recipe.from_text(text)
    model(x)
    treated = recipe.apply(model, example_input=x)
    treat = run(recipe.to_code(model, example_input=x))["treat"]
    rows = [x] if "prune" in text else []
    for twin in (treat(model, *rows), treat(model)):
        assert repr(twin) == repr(treated.model)
    assert_same(treat(model, *rows), treated.model)


def test_without_rows_what_is_measured_keeps_its_first_values_for_weights_to_come():
    model, x, recipe = mlp(), torch.randn(50, 6) + 3, Recipe.from_text("scale_inputs+lsuv")
    treated = recipe.apply(model, example_input=x, data=x)
    source = recipe.to_code(model, example_input=x)
    twin = run(source)["treat"](model)
    assert not twin[0].scale.mean.any()
    assert "load trained weights afterwards" in source
    twin.load_state_dict(treated.model.state_dict())
    assert torch.equal(twin.eval()(x), treated.model.eval()(x))


@dataclass
class Sizes:
    width: int = 8


def sized(sizes=Sizes(), *, depth=2):  # noqa: B008  # a configuration as a default
    layers = [m for _ in range(depth) for m in (nn.Linear(sizes.width, sizes.width), nn.Tanh())]
    return nn.Sequential(nn.Linear(6, sizes.width), *layers, nn.Linear(sizes.width, 3))


def test_the_printed_code_calls_the_factory_with_other_arguments():
    make, x = partial(sized, depth=3), torch.randn(4, 6)
    recipe = Recipe.from_text("shrink(0.5, layers=3)+activation(relu)")
    treated = recipe.apply(make(), example_input=x, make_model=make, seed=5)
    source = recipe.to_code(make(), example_input=x, make_model=make, seed=5)
    assert 'make_model(depth=2, sizes=altered(make_model, "sizes", width=4))' in source
    twin = run(source)["treat"](make(), make)
    assert repr(twin) == repr(treated.model)
    assert_same(twin, treated.model)
    plain = Recipe.from_text("shrink(layers=3)").to_code(make(), example_input=x, make_model=make)
    assert "make_model(depth=2" in plain
