"""The contract that every remedy passes; subclass it to test one of your own."""

from __future__ import annotations

import copy
import io
import json
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from fitwell.errors import NotApplicable
from fitwell.interfaces import Remedy
from fitwell.recipe import Recipe, Treated
from fitwell.testing import courses


class RemedyContract:
    """What holds for every remedy, as tests for pytest.

    Subclass it, name the subclass ``Test…`` and give it :meth:`make_remedy`; the other ``make_…``
    methods have defaults: a network with two sigmoid layers, and a batch of 16 rows and 3 classes.
    """

    def make_remedy(self) -> Remedy:
        """Return the remedy under test."""
        raise NotImplementedError("Give the contract a remedy: override make_remedy().")

    def make_model(self) -> nn.Module:
        """Return a network that the remedy can treat."""
        return nn.Sequential(
            *(nn.Linear(6, 12), nn.Sigmoid(), nn.Linear(12, 12), nn.Sigmoid()),
            nn.Linear(12, 3),
        )

    def make_batch(self) -> tuple[Tensor, Tensor]:
        """Return inputs and targets that fit the network."""
        generator = Generator().manual_seed(0)
        return torch.randn(16, 6, generator=generator), torch.arange(16) % 3

    def make_untreatable(self) -> tuple[nn.Module, Tensor] | None:
        """Return a network that the remedy cannot treat and an input, or None if it treats all."""
        return None

    def make_stack(self) -> Sequence[Remedy]:
        """Return remedies of runs that train as one; override it to let their doses differ."""
        return [self.make_remedy()] * 3

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch."""
        return F.cross_entropy(outputs, targets)

    def treat(self, *, seed: int = 0) -> tuple[nn.Module, Treated]:
        """Return a network and its treatment."""
        torch.manual_seed(1)
        model = self.make_model()
        return model, self.apply(model, self.make_batch()[0], seed=seed)

    def apply(self, model: nn.Module, rows: Tensor, *, seed: int = 0) -> Treated:
        """Return the treatment of a network; the rows are example and training data."""
        recipe = Recipe(self.make_remedy())
        return recipe.apply(model, example_input=rows, data=rows, seed=seed)

    def test_the_original_and_the_random_state_stay_as_they_are(self) -> None:
        torch.manual_seed(1)
        model = self.make_model().train()
        before, shown = copy.deepcopy(model.state_dict()), repr(model)
        state = torch.get_rng_state()
        self.apply(model, self.make_batch()[0])
        assert _same(model.state_dict(), before)
        assert repr(model) == shown
        assert all(module.training for module in model.modules())
        assert torch.equal(torch.get_rng_state(), state)

    def test_the_spec_makes_the_same_remedy_again(self) -> None:
        remedy = self.make_remedy()
        args = json.loads(json.dumps(dict(remedy.spec.args)))
        assert type(remedy)(**args) == remedy
        assert hash(type(remedy)(**args)) == hash(remedy)

    def test_the_same_seed_gives_the_same_weights(self) -> None:
        _, first = self.treat(seed=3)
        _, second = self.treat(seed=3)
        assert _same(first.model.state_dict(), second.model.state_dict())

    def test_a_network_that_it_cannot_serve_is_refused_with_the_reason(self) -> None:
        untreatable = self.make_untreatable()
        if untreatable is None:
            pytest.skip("this remedy serves every network")
        model, example_input = untreatable
        with pytest.raises(NotApplicable) as refusal:
            self.apply(model, example_input)
        assert str(refusal.value).splitlines()[0]

    def test_a_treated_network_trains_with_finite_gradients(self) -> None:
        _, treated = self.treat()
        optimizer = treated.optimizer(torch.optim.SGD, lr=0.01)
        x, y = treated.batch(*self.make_batch())
        loss = treated.loss(self.loss)(treated.model(x), y)
        torch.autograd.backward([loss])
        gradients = [p.grad for p in treated.model.parameters() if p.grad is not None]
        optimizer.step()
        assert gradients
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)
        assert all(bool(p.isfinite().all()) for p in treated.model.parameters())

    def test_a_treated_network_saves_and_loads(self) -> None:
        _, treated = self.treat()
        file = io.BytesIO()
        torch.save(treated.model.state_dict(), file)
        file.seek(0)
        _, other = self.treat(seed=5)
        other.model.load_state_dict(torch.load(file, weights_only=True))
        assert _same(other.model.state_dict(), treated.model.state_dict())

    def test_the_output_keeps_its_shape(self) -> None:
        model, treated = self.treat()
        x, _ = self.make_batch()
        assert treated.model.eval()(x).shape == model.eval()(x).shape

    def test_a_treated_network_holds_no_module_of_ours_but_those_of_plain_torch(self) -> None:
        _, treated = self.treat()
        treated.optimizer(torch.optim.SGD, lr=0.01)
        homes = {type(module).__module__ for module in treated.model.modules()}
        assert not [h for h in homes if h.startswith("fitwell") and "fitwell.modules." not in h]
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in treated.model.modules())
        for twin in (copy.deepcopy(treated.model), pickle.loads(pickle.dumps(treated.model))):
            assert _same(twin.state_dict(), treated.model.state_dict())

    def test_what_the_seams_are_given_stays_as_it_is(self) -> None:
        remedy = self.make_remedy()
        x, y = self.make_batch()
        given: dict[str, Tensor] = {"a.weight": torch.randn(4, 3), "b.weight": torch.randn(2, 2)}
        kept = copy.deepcopy((x, y, given))
        remedy.on_batch(x, y, Generator().manual_seed(0))
        assert remedy.rate_factor(3) == remedy.rate_factor(3)
        memory = dict(remedy.remember({}, given))
        averages = dict(remedy.average({}, given, 0))
        known = copy.deepcopy((memory, averages))
        remedy.remember(memory, given)
        remedy.on_gradients(given, given, memory)
        remedy.after_update(given, 0.1)
        remedy.average(averages, given, 1)
        assert _same(memory, known[0])
        assert _same(averages, known[1])
        assert torch.equal(x, kept[0])
        assert torch.equal(y, kept[1])
        assert _same(given, kept[2])

    def treat_stack(self) -> tuple[list[Treated], list[tuple[Tensor, Tensor]]]:
        """Return the treatment of every run of a stack, and the batch of each."""
        x, y = self.make_batch()
        treated = []
        for run, remedy in enumerate(self.make_stack()):
            torch.manual_seed(run)
            recipe = Recipe(remedy)
            treated.append(recipe.apply(self.make_model(), example_input=x, data=x, seed=run))
        return treated, [(x.roll(run, 0), y.roll(run, 0)) for run in range(len(treated))]

    def test_a_stack_of_runs_goes_the_way_that_each_goes_alone(self) -> None:
        expected = courses.alone(*self.treat_stack(), self.loss)
        for run, course in enumerate(courses.stacked(*self.treat_stack(), self.loss)):
            _assert_same_course(course, expected[run])

    def test_a_run_that_is_no_number_leaves_the_rest_of_its_stack_alone(self) -> None:
        expected = courses.alone(*self.treat_stack(), self.loss)
        spoiled = courses.stacked(*self.treat_stack(), self.loss, spoiled=0)
        for run, course in enumerate(spoiled[1:], start=1):
            _assert_same_course(course, expected[run])


def _assert_same_course(course: courses.Course, expected: courses.Course) -> None:
    assert course.losses == pytest.approx(expected.losses, rel=1e-4, abs=1e-6)
    for found, right in ((course.weights, expected.weights), (course.averages, expected.averages)):
        assert list(found) == list(right)
        for name, value in right.items():
            torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-5)
    assert course.stops == expected.stops
    assert course.effects == expected.effects


def _same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two states hold the same tensors, bit for bit."""
    return list(first) == list(second) and all(torch.equal(first[k], second[k]) for k in first)
