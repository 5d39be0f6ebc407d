"""The limit is numpy's percentile of the norms seen so far."""

import numpy as np
import pytest
import torch
from torch import nn

from fitwell.errors import ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import PercentileClip
from fitwell.testing import RemedyContract


class TestPercentileClip(RemedyContract):
    def make_remedy(self):
        return PercentileClip(30.0, window=4)

    def make_stack(self):
        return [PercentileClip(p, window=4) for p in (1.0, 30.0, 100.0)]


def gradients_of(norms):
    """A gradient of each norm, over two parameters."""
    for norm in norms:
        yield {"a": torch.full((3, 3), 0.6 * norm / 3), "b": torch.tensor([0.8 * norm])}


@pytest.mark.parametrize("percentile", [10.0, 50.0, 100.0])
@pytest.mark.parametrize("window", [1, 4, 100])
def test_the_norm_after_clipping_is_the_percentile_of_a_window(percentile, window):
    norms = np.random.default_rng(0).lognormal(size=12).tolist()
    remedy, memory = PercentileClip(percentile, window), {}
    for step, given in enumerate(gradients_of(norms)):
        memory = remedy.remember(memory, given)
        new = remedy.on_gradients(given, given, memory)
        limit = np.percentile(norms[max(0, step + 1 - window) : step + 1], percentile)
        total = torch.cat([g.flatten() for g in new.values()]).norm().item()
        assert total == pytest.approx(min(norms[step], limit), rel=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_norm_that_is_not_finite_is_not_remembered_and_gives_zero(bad):
    remedy, memory = PercentileClip(50.0), {}
    for given in gradients_of([bad, 1.0, bad, 3.0, bad]):
        memory = remedy.remember(memory, given)
        new = remedy.on_gradients(given, given, memory)
        if not given["b"].isfinite():
            assert not any(g.any() for g in new.values())
    assert memory["norms"][: int(memory["count"])].tolist() == pytest.approx([1.0, 3.0])


def test_zeros_mean_the_same_as_an_empty_memory():
    remedy = PercentileClip(50.0, window=3)
    (given,) = gradients_of([2.0])
    first = remedy.remember({}, given)
    zeros = {name: torch.zeros_like(value) for name, value in first.items()}
    again = remedy.remember(zeros, given)
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_keep_theirs(dtype):
    given = {"a": torch.randn(5, 3, dtype=dtype), "b": torch.randn(4, dtype=torch.float32)}
    memory = PercentileClip().remember({}, given)
    memory = PercentileClip().remember(memory, {n: 9 * g for n, g in given.items()})
    new = PercentileClip().on_gradients({n: 9 * g for n, g in given.items()}, given, memory)
    assert {n: g.dtype for n, g in new.items()} == {n: g.dtype for n, g in given.items()}


def test_every_optimizer_has_a_history_of_its_own():
    model = nn.ModuleDict({"g": nn.Linear(1, 1, bias=False), "d": nn.Linear(1, 1, bias=False)})
    treated = Recipe(PercentileClip(100.0, window=9)).apply(model, example_input=None)
    kinds = {
        name: treated.optimizer(
            lambda _, n=name: torch.optim.SGD(treated.model[n].parameters(), lr=1.0)
        )
        for name in ("g", "d")
    }
    before = {name: treated.model[name].weight.item() for name in kinds}
    for name, norm in (("g", 1.0), ("d", 100.0), ("g", 7.0), ("d", 3.0)):
        treated.model[name].weight.grad = torch.full((1, 1), norm)
        kinds[name].step()
    # Every norm is within the largest of its own optimizer: nothing was clipped.
    assert treated.model["g"].weight.item() == pytest.approx(before["g"] - 8.0, abs=1e-4)
    assert treated.model["d"].weight.item() == pytest.approx(before["d"] - 103.0, abs=1e-4)
    assert treated.effects() == ("PercentileClip fired in 0 of 4 steps",)


@pytest.mark.parametrize("options", [{"percentile": 0}, {"percentile": 101}, {"window": 0}])
def test_arguments_out_of_range_are_refused(options):
    with pytest.raises(ThresholdError, match=next(iter(options))):
        PercentileClip(**options)
    with pytest.raises(ThresholdError, match="whole number"):
        PercentileClip(window=2.5)
