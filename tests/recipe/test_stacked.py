"""Many runs at once go the same courses as each of them alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from fitwell.errors import BadInput
from fitwell.interfaces import Mixed, Plain, Remedy, Stage
from fitwell.recipe import Recipe, StackedRecipe
from fitwell.recipe.layout import Layout
from fitwell.records import RemedySpec
from fitwell.remedies import (
    L1,
    L2,
    AdaptiveClip,
    Augment,
    ClipNorm,
    ClipValue,
    CutMix,
    Dropout,
    EarlyStopping,
    LabelSmoothing,
    LearningRate,
    Mixup,
    PercentileClip,
    WeightAverage,
)
from fitwell.testing import courses

ROWS, FEATURES, CLASSES = 16, 6, 3


def make_model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, CLASSES))


def treated_by(*recipes, make=make_model):
    x = torch.zeros(4, FEATURES)
    return [
        recipe.apply(make(seed), example_input=x, seed=seed) for seed, recipe in enumerate(recipes)
    ]


def stack_of(*recipes, make=make_model):
    return StackedRecipe(treated_by(*recipes, make=make))


def batches(runs=3, shape=(ROWS, FEATURES)):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(runs, *shape, generator=generator)
    return x, torch.randint(CLASSES, (runs, len(x[0])), generator=generator)


def weights(runs, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    shapes = {n: p.shape for n, p in make_model().named_parameters()}
    return {n: scale * torch.randn(runs, *s, generator=generator) for n, s in shapes.items()}


def of_run(tensors, run):
    return {name: tensor[run] for name, tensor in tensors.items()}


TOGETHER = {
    "nothing": [Recipe()] * 3,
    "all clips": [Recipe(ClipNorm(s), ClipValue(s), AdaptiveClip(s)) for s in (0.02, 0.1, 1.0)],
    "penalties": [Recipe(L1(s), L2(s), WeightAverage(decay=s)) for s in (0.0, 0.1, 0.9)],
    "batches": [Recipe(Augment(s), Mixup(s), LabelSmoothing(s)) for s in (0.1, 0.5, 1.0)],
    "host": [Recipe(LearningRate(s, 2), EarlyStopping(n)) for s, n in ((1.0, 1), (3.0, 2))],
}


@pytest.mark.parametrize("name", TOGETHER)
def test_recipes_of_several_remedies_train_as_each_run_alone(name):
    recipes = TOGETHER[name]
    data = list(zip(*batches(len(recipes)), strict=True))
    expected = courses.alone(treated_by(*recipes), data, F.cross_entropy)
    found = courses.stacked(treated_by(*recipes), data, F.cross_entropy)
    for course, right in zip(found, expected, strict=True):
        assert course.losses == pytest.approx(right.losses, rel=1e-4)
        assert course.effects == right.effects
        assert course.stops == right.stops
        for key, value in right.averages.items():
            torch.testing.assert_close(course.averages[key], value, rtol=1e-3, atol=1e-5)


GRADIENTS = [
    lambda dose: L2(dose, decoupled=False),
    lambda dose: ClipNorm(dose + 1e-3),
    lambda dose: ClipValue(dose + 1e-3),
    lambda dose: AdaptiveClip(dose + 1e-3),
    lambda dose: PercentileClip(min(dose + 1.0, 100.0), window=3),
]


@given(
    make=st.sampled_from(GRADIENTS),
    doses=st.lists(st.floats(0.0, 50.0), min_size=1, max_size=4),
    scale=st.sampled_from([0.0, 1e-4, 1.0, 1e4]),
    bad=st.sampled_from([None, torch.nan, torch.inf, -torch.inf]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=80, deadline=None)
def test_gradients_of_a_stack_are_those_of_each_run(make, doses, scale, bad, seed):
    recipes = [Recipe(make(dose)) for dose in doses]
    stack, layout = stack_of(*recipes), Layout.of(make_model())
    parameters, memories = weights(len(doses), seed), [{} for _ in doses]
    for step in range(3):
        gradients = weights(len(doses), seed + step + 1, scale)
        if bad is not None and step == 1:
            gradients["0.weight"][0, 1, 1] = bad
        found = stack.change_gradients(gradients, parameters)
        for run, recipe in enumerate(recipes):
            right, memories[run] = recipe.on_gradients(
                of_run(gradients, run), of_run(parameters, run), memories[run], layout
            )
            for name, value in right.items():
                expected = {"rtol": 1e-4, "atol": 1e-7 * max(scale, 1.0), "equal_nan": True}
                torch.testing.assert_close(found[name][run], value, **expected)


@given(
    make=st.sampled_from([L1, L2]),
    doses=st.lists(st.floats(0.0, 100.0), min_size=1, max_size=4),
    rate=st.sampled_from([0.0, 1e-3, 0.1, [0.5, 0.1, 1e-3, 2.0]]),
    bad=st.sampled_from([None, torch.nan, torch.inf]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=80, deadline=None)
def test_parameters_of_a_stack_are_those_of_each_run(make, doses, rate, bad, seed):
    recipes = [Recipe(make(dose)) for dose in doses]
    stack, layout = stack_of(*recipes), Layout.of(make_model())
    parameters = weights(len(doses), seed)
    if bad is not None:
        parameters["2.weight"][0, 0, 0] = bad
    rates = rate[: len(doses)] if isinstance(rate, list) else rate
    found = stack.change_parameters(parameters, rates)
    for run, recipe in enumerate(recipes):
        own = rates[run] if isinstance(rates, list) else rates
        right = recipe.after_update(of_run(parameters, run), own, layout)
        for name, value in right.items():
            torch.testing.assert_close(
                found[name][run], value, rtol=1e-5, atol=1e-6, equal_nan=True
            )


@given(
    decays=st.lists(st.floats(0.0, 0.9999), min_size=1, max_size=4),
    kind=st.sampled_from(["ema", "swa"]),
    start=st.integers(0, 3),
)
@settings(max_examples=30, deadline=None)
def test_averages_of_a_stack_are_those_of_each_run(decays, kind, start):
    recipes = [Recipe(WeightAverage(kind, decay, start)) for decay in decays]
    stack, averages = stack_of(*recipes), [{} for _ in decays]
    for step in range(5):
        now = weights(len(decays), step)
        stack.end_step(now)
        for run, recipe in enumerate(recipes):
            averages[run] = recipe.average(averages[run], of_run(now, run), step)
    found = stack.averages()
    for run, average in enumerate(averages):
        assert set(average) == set(found)
        for name, value in average.items():
            torch.testing.assert_close(found[name][run], value)


@given(amounts=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=4), data=st.data())
@settings(max_examples=40, deadline=None)
def test_smoothed_losses_of_a_stack_are_those_of_each_run(amounts, data):
    space = data.draw(st.sampled_from([(), (2,), (2, 3)]))
    hard = data.draw(st.booleans())
    generator = torch.Generator().manual_seed(len(amounts))
    shape = (len(amounts), 5, CLASSES, *space)
    outputs = torch.randn(shape, generator=generator, requires_grad=True)
    y = torch.randint(CLASSES, (len(amounts), 5, *space), generator=generator)
    if hard:
        y[:, 0] = -100
    else:
        y = torch.rand(shape, generator=generator).softmax(2)
    recipes = [Recipe(LabelSmoothing(amount)) for amount in amounts]

    def losses(scores, targets):
        return torch.stack(list(map(F.cross_entropy, scores, targets)))

    found = stack_of(*recipes).loss(losses)(outputs, y)
    right = torch.stack(
        [
            recipe.on_loss(F.cross_entropy(o, t), o, t)
            for recipe, o, t in zip(recipes, outputs, y, strict=True)
        ]
    )
    torch.testing.assert_close(found, right)
    gradients = [torch.autograd.grad(loss.sum(), outputs)[0] for loss in (found, right)]
    torch.testing.assert_close(*gradients)


BATCHES = {
    "rows": ((ROWS, FEATURES), Augment),
    "bags": ((ROWS, FEATURES), lambda s: Augment(s, kind="bag")),
    "sequences": ((ROWS, 5, 4), Augment),
    "signals": ((ROWS, 2, 9), lambda s: Augment(s, kind="signal")),
    "images": ((ROWS, 2, 7, 5), Augment),
    "flipped images": ((ROWS, 1, 6, 6), lambda s: Augment(s, flip=True)),
    "mixed rows": ((ROWS, FEATURES), Mixup),
    "mixed images": ((ROWS, 2, 7, 5), Mixup),
    "cut rows": ((ROWS, FEATURES), CutMix),
    "cut sequences": ((ROWS, 5, 4), CutMix),
    "cut signals": ((ROWS, 2, 9), lambda s: CutMix(s, kind="signal")),
    "cut images": ((ROWS, 2, 7, 5), CutMix),
}


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("doses", [(0.3,), (0.1, 0.7, 1.0), (0.5, 0.5)])
def test_batches_of_a_stack_are_those_of_each_run_to_the_bit(name, doses):
    shape, make = BATCHES[name]
    recipes = [Recipe(make(dose)) for dose in doses]
    treated = [
        recipe.apply(nn.Identity(), example_input=torch.zeros(2, *shape[1:]), seed=40 + seed)
        for seed, recipe in enumerate(recipes)
    ]
    stack, (x, y) = StackedRecipe(treated), batches(len(doses), shape)
    if name == "rows":
        x[:, :, 0] = x[:, :, 0].relu()
    for _ in range(3):
        found = stack.batch(x, y)
        for run, each in enumerate(treated):
            right = each.batch(x[run], y[run])
            assert torch.equal(found[0][run], right[0])
            for mine, other in zip(parts(found[1]), parts(right[1]), strict=True):
                assert torch.equal(mine[run], other)


def parts(targets):
    return targets if isinstance(targets, Mixed) else (targets,)


def test_a_batch_without_a_remedy_is_handed_back():
    stack, (x, y) = stack_of(Recipe(), Recipe()), batches(2)
    assert stack.batch(x, y) == (x, y)
    assert stack.loss(F.cross_entropy) is F.cross_entropy
    assert stack.rate_factors(7) == (1.0, 1.0)
    assert stack.should_stop([1.0, 2.0]) == (False, False)
    assert stack.averages() == {}


def test_a_batch_is_refused_as_it_is_alone():
    stack = stack_of(Recipe(Mixup(0.1)), Recipe(Mixup(0.2)))
    _, y = batches(2)
    with pytest.raises(BadInput, match="Mixup needs"):
        stack.batch(torch.ones(2, ROWS, FEATURES, dtype=torch.long), y)


def test_a_loss_that_is_no_cross_entropy_is_refused_as_it_is_alone():
    stack = stack_of(Recipe(LabelSmoothing(0.1)), Recipe(LabelSmoothing(0.2)))
    loss = stack.loss(lambda o, t: (o - t).square().flatten(1).mean(1))
    with pytest.raises(BadInput, match="a squared error has no labels"):
        loss(torch.randn(2, 5, 3), torch.randn(2, 5, 3))


def test_what_a_run_gets_does_not_depend_on_the_others():
    """One stack, the runs in another order, and pairs of them give the same bits."""
    doses = (0.02, 0.3, 0.3, 5.0)
    recipes = [
        Recipe(ClipNorm(d), L2(d), L1(d), ClipValue(d), AdaptiveClip(d), WeightAverage(decay=d / 6))
        for d in doses
    ]
    treated, g, p = treated_by(*recipes), weights(4, 1), weights(4, 2)
    rates = [0.1, 0.2, 0.2, 0.05]

    def passed(runs):
        stack = StackedRecipe([treated[run] for run in runs])
        chosen = [{n: t[list(runs)] for n, t in tensors.items()} for tensors in (g, p)]
        gradients = stack.change_gradients(*chosen)
        new = stack.change_parameters(chosen[1], [rates[run] for run in runs])
        for _ in range(3):
            stack.end_step(new)
        return gradients, new, stack.averages()

    whole = passed((0, 1, 2, 3))
    for runs in ((3, 2, 1, 0), (1, 2), (0, 3), (2,)):
        for found, right in zip(passed(runs), whole, strict=True):
            for name, tensor in found.items():
                assert torch.equal(tensor, right[name][list(runs)])


def test_runs_that_stay_go_on_where_they_were():
    recipes = [
        Recipe(
            PercentileClip(p, window=3), WeightAverage(decay=d), Mixup(d + 0.1), EarlyStopping(2)
        )
        for p, d in ((10.0, 0.1), (50.0, 0.5), (90.0, 0.9))
    ]

    def step(stack, number, runs):
        x, y = batches()
        x, y = stack.batch(x[runs], y[runs])
        g = {n: t[runs] for n, t in weights(3, number).items()}
        changed = stack.change_gradients(g, g)
        stack.end_step(changed)
        stops = stack.should_stop([[3.0, 2.0, 1.0][run] for run in runs])
        return x, y.share, changed, stack.averages(), stops

    whole, shrinking = stack_of(*recipes), stack_of(*recipes)
    for number in range(2):
        step(whole, number, [0, 1, 2])
        step(shrinking, number, [0, 1, 2])
    shrinking = shrinking.keep([2, 0])
    assert len(shrinking) == 2
    for number in range(2, 4):
        x, share, changed, averages, stops = step(whole, number, [0, 1, 2])
        own = step(shrinking, number, [2, 0])
        assert torch.equal(own[0], x[[2, 0]])
        assert torch.equal(own[1], share[[2, 0]])
        for name in changed:
            torch.testing.assert_close(own[2][name], changed[name][[2, 0]])
            torch.testing.assert_close(own[3][name], averages[name][[2, 0]])
        assert own[4] == (stops[2], stops[0])
    model = make_model()
    assert shrinking.effects(1, model) == whole.effects(0, model)
    assert shrinking.effects(0, model) == whole.effects(2, model)


def test_a_clip_is_counted_for_every_run_by_itself():
    stack = stack_of(Recipe(ClipNorm(1.0)), Recipe(ClipNorm(100.0)))
    like, model = weights(2), make_model()
    for scale in (0.1, 10.0, 10.0, 0.1, 1e6):
        stack.change_gradients({n: torch.full_like(t, scale) for n, t in like.items()}, like)
        stack.end_step(like)
    assert stack.effects(0, model) == ("ClipNorm fired in 3 of 5 steps",)
    assert stack.effects(1, model) == ("ClipNorm fired in 1 of 5 steps",)


def test_a_run_within_its_limit_is_left_as_it_is_beside_one_that_is_clipped():
    stack, small = stack_of(Recipe(ClipNorm(1e-3)), Recipe(ClipNorm(1e-3))), weights(2)
    norms = torch.stack([t.flatten(1).norm(dim=1) for t in small.values()]).norm(dim=0)
    factors = torch.tensor([0.9999e-3, 1.0]) / norms
    small = {n: t * factors.view(-1, *[1] * (t.dim() - 1)) for n, t in small.items()}
    found = stack.change_gradients(small, small)
    assert all(torch.equal(found[n][0], t[0]) for n, t in small.items())
    assert not any(torch.equal(found[n][1], t[1]) for n, t in small.items())


def test_no_loss_is_noted_of_a_run_that_is_over():
    stack, model = stack_of(Recipe(EarlyStopping(1)), Recipe(EarlyStopping(1))), make_model()
    assert stack.should_stop([1.0, 1.0]) == (False, False)
    assert stack.should_stop([2.0, None]) == (True, False)
    assert stack.effects(0, model)[0].startswith("EarlyStopping saw 2 validation losses")
    assert stack.effects(1, model)[0].startswith("EarlyStopping saw 1 validation losses")


def test_structures_are_equal_for_recipes_that_differ_in_doses_alone():
    structure = StackedRecipe.structure
    assert structure([RemedySpec("L2", {"strength": 0.1})]) == structure([RemedySpec("L2")])
    assert structure(Recipe(Dropout(0.1), L1(0.1))) == structure(Recipe(L1(0.2), Dropout(0.7)))
    assert structure(Recipe(Dropout(0.1))) != structure(Recipe(Dropout(0.1, kind="plain")))
    assert structure(Recipe(L2(0.1))) != structure(Recipe(L2(0.1, decoupled=False)))
    assert structure(Recipe(WeightAverage("ema"))) != structure(Recipe(WeightAverage("swa")))
    assert structure(Recipe()) != structure(Recipe(L2(0.0)))
    assert hash(structure(Recipe(LearningRate(2.0)))) == hash(structure(Recipe(LearningRate(0.1))))


def test_recipes_of_two_structures_are_refused():
    with pytest.raises(BadInput, match="share one recipe but for doses"):
        stack_of(Recipe(L2(0.1)), Recipe(L1(0.1)))
    with pytest.raises(BadInput, match="at least one run"):
        StackedRecipe([])


@dataclass(frozen=True)
class Own(Remedy):
    """Whatever a user writes: it names no dose, and knows nothing of stacks."""

    stage: ClassVar[Stage] = Stage.GRADIENT

    limit: float = 0.5

    def on_gradients(self, gradients, parameters, memory):
        return {n: g.tanh() * self.limit / (1 + parameters[n].norm()) for n, g in gradients.items()}

    def after_update(self, parameters, rate):
        return {n: p.clamp(-1.0, 1.0) * (1.0 - rate) for n, p in parameters.items()}


@dataclass(frozen=True)
class Asking(Remedy):
    """Asks for a number, so that it cannot be mapped over runs."""

    stage: ClassVar[Stage] = Stage.GRADIENT

    def on_gradients(self, gradients, parameters, memory):
        if float(gradients["0.weight"][0, 0]) > 0:
            return gradients
        return {n: -g for n, g in gradients.items()}

    def on_loss(self, loss, outputs, targets):
        return loss * outputs.detach().max().item()


@dataclass(frozen=True)
class Slow(Remedy):
    """Uses what torch maps only with a warning."""

    stage: ClassVar[Stage] = Stage.GRADIENT

    def on_gradients(self, gradients, parameters, memory):
        return {n: g * g.flatten().nanquantile(0.5) for n, g in gradients.items()}


@dataclass(frozen=True)
class Otherwise(Remedy):
    """Does something else when it is mapped."""

    stage: ClassVar[Stage] = Stage.GRADIENT

    def on_gradients(self, gradients, parameters, memory):
        mapped = torch._C._functorch.is_batchedtensor(gradients["0.weight"])
        return {n: g * (2.0 if mapped else 0.5) for n, g in gradients.items()}


@pytest.mark.parametrize(
    "remedy", [Own(), Asking(), Slow(), Otherwise()], ids=lambda r: type(r).__name__
)
def test_a_remedy_of_ones_own_acts_on_stacks_without_a_word_about_them(remedy):
    recipes = [Recipe(remedy, L2(s)) for s in (0.1, 0.2, 0.3)]
    data = list(zip(*batches(), strict=True))
    expected = courses.alone(treated_by(*recipes), data, F.cross_entropy)
    found = courses.stacked(treated_by(*recipes), data, F.cross_entropy)
    for course, right in zip(found, expected, strict=True):
        assert course.losses == pytest.approx(right.losses, rel=1e-4)
        assert course.effects == right.effects


@dataclass(frozen=True)
class Halving(Remedy):
    """Of a user's own with a dose and a plain function that knows nothing of stacks."""

    stage: ClassVar[Stage] = Stage.UPDATE
    doses: ClassVar[tuple[str, ...]] = ("share",)

    share: float = 0.5

    def after_update(self, parameters, rate):
        return shrink_by(parameters, rate, share=self.share)

    def plain(self):
        return {"after_update": Plain(shrink_by, {"share": self.share})}


def shrink_by(parameters, rate, share):
    return {name: value * (1.0 - rate * share) for name, value in parameters.items()}


def test_doses_of_a_plain_function_are_mapped_with_the_runs():
    recipes = [Recipe(Halving(share)) for share in (0.1, 0.5, 1.0)]
    parameters, rates = weights(3), [0.1, 0.5, 0.7]
    found = stack_of(*recipes).change_parameters(parameters, rates)
    for run, recipe in enumerate(recipes):
        right = recipe.remedies[0].after_update(of_run(parameters, run), rates[run])
        for name, value in right.items():
            assert found[name].dtype == torch.float32
            torch.testing.assert_close(found[name][run], value)


def test_the_units_of_a_transposed_convolution_are_clipped_by_units():
    def make(seed=0):
        torch.manual_seed(seed)
        return nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.ReLU(), nn.ConvTranspose2d(3, 2, 2))

    recipes = [Recipe(AdaptiveClip(limit)) for limit in (0.01, 0.5)]
    treated = [
        recipe.apply(make(seed), example_input=torch.zeros(1, 2, 3, 3))
        for seed, recipe in enumerate(recipes)
    ]
    states = [dict(each.model.named_parameters()) for each in treated]
    parameters = {n: torch.stack([s[n].detach() for s in states]) for n in states[0]}
    gradients = {n: torch.randn_like(p) for n, p in parameters.items()}
    found = StackedRecipe(treated).change_gradients(gradients, parameters)
    for run, recipe in enumerate(recipes):
        layout = Layout.of(treated[run].model)
        right, _ = recipe.on_gradients(of_run(gradients, run), of_run(parameters, run), {}, layout)
        for name, value in right.items():
            torch.testing.assert_close(found[name][run], value)


def test_nothing_that_a_stack_is_given_is_changed():
    recipes: Sequence[Recipe] = [
        Recipe(ClipNorm(d), L1(d), L2(d), WeightAverage(decay=d), Augment(d), Mixup(d))
        for d in (0.1, 0.2)
    ]
    stack, (x, y), own = stack_of(*recipes), batches(2), weights(2)
    kept = (x.clone(), y.clone(), {n: t.clone() for n, t in own.items()})
    stack.batch(x, y)
    stack.change_gradients(own, own)
    stack.change_parameters(own, [0.1, 0.2])
    for _ in range(2):
        stack.end_step(own)
    assert torch.equal(x, kept[0])
    assert torch.equal(y, kept[1])
    assert all(torch.equal(t, kept[2][n]) for n, t in own.items())
