"""Recipes of one structure in many runs, acting on tensors whose first axis is that of the runs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Generator, Tensor, nn

from fitwell.errors import BadInput
from fitwell.interfaces import Mixed, Remedy
from fitwell.recipe.effects import Tally, sentences
from fitwell.recipe.layout import Layout
from fitwell.recipe.recipe import Recipe
from fitwell.recipe.stacked_seam import StackedSeam
from fitwell.recipe.stacked_tally import StackedTally
from fitwell.recipe.treated import Treated
from fitwell.recipe.treated_loss import TreatedLoss
from fitwell.records import RemedySpec

if TYPE_CHECKING:
    from fitwell.interfaces import Tensors


@final
class StackedRecipe:
    """What :class:`Treated` is to the loop of one run, for runs that train as one program.

    Every tensor has the runs on its first axis, and every run goes the course that it would go
    alone: with its own doses, its own random numbers and its own norms, to floating-point
    tolerance. What is not finite in one run stays in that run. A loop calls::

        x, y = stack.batch(x, y)
        losses = stack.loss(mean_losses)(outputs, y)             # (runs,), to be summed
        gradients = stack.change_gradients(gradients, parameters)
        ...                                                      # the optimizer's step
        parameters = stack.change_parameters(parameters, rates)
        stack.end_step({**parameters, **floating_buffers})

    Nothing that it is given is changed. What a method has nothing to do with, it hands back.

    Args:
        treated: The treatment of every run, of one :meth:`structure`; at least one.

    Raises:
        BadInput: If there is none, or the recipes differ in more than stackable doses.
    """

    def __init__(self, treated: Sequence[Treated]) -> None:
        if not treated:
            raise BadInput("A stack holds at least one run, got none.")
        kinds = {self.structure(each.recipe) for each in treated}
        if len(kinds) > 1:
            raise BadInput(
                "The runs of a stack share one recipe but for doses: got "
                + " and ".join(dict.fromkeys(str(each.recipe) for each in treated))
                + "."
            )
        self._treated = tuple(treated)
        self._recipes = tuple(each.recipe for each in treated)
        self._layout = Layout.of(treated[0].model)
        self._seams: dict[str, list[tuple[Remedy, StackedSeam]]] = {}
        for remedy, *others in zip(*self._recipes, strict=True):
            acting = remedy.plain() or remedy.seams()
            for name in acting:
                seam = StackedSeam([remedy, *others], name)
                self._seams.setdefault(name, []).append((remedy, seam))
        schedules = [tuple(r for r in each if "rate_factor" in r.seams()) for each in self._recipes]
        distinct = dict(zip(schedules, self._recipes, strict=True))
        self._distinct = list(distinct.values())
        self._schedules = [list(distinct).index(schedule) for schedule in schedules]
        self._generators: dict[torch.device, list[Generator]] = {}
        self._memory: dict[str, Tensors] = {}
        self._averages: Tensors = {}
        self._tally = StackedTally(Tally(), [[] for _ in treated], [0 for _ in treated])

    @staticmethod
    def structure(recipe: Recipe | Sequence[RemedySpec]) -> Hashable:
        """Return what the recipes of runs must share to be stacked: all but stackable doses."""
        recipe = recipe if isinstance(recipe, Recipe) else Recipe(*recipe)
        return tuple(
            (type(remedy), *(getattr(remedy, name) for name in _fixed(remedy))) for remedy in recipe
        )

    def __len__(self) -> int:
        return len(self._treated)

    def needs(self, seam: str) -> bool:
        """Whether a remedy acts at a seam, as ``"on_loss"``."""
        return seam in self._seams

    def batch(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor | Mixed]:
        """Return the batches (runs, batch, ...) to train on; random numbers are those of each."""
        if not self.needs("on_batch"):
            return x, y
        self._tally.all.batches += 1
        if x.device not in self._generators:
            self._generators[x.device] = [
                Generator(x.device).manual_seed(each.seed) for each in self._treated
            ]
        with torch.no_grad():
            for _, seam in self._seams["on_batch"]:
                x, y = seam.on_batch(x, y, self._generators[x.device])
        return x, y

    def loss(self, losses: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
        """Return the losses (runs,) to train on: as given where gradients are disabled.

        Args:
            losses: The mean loss of every run, given outputs and targets of all. What
                :meth:`batch` returned is taken as targets.
        """
        if not self.needs("on_loss") and not self._recipes[0].mixes:
            return losses
        return TreatedLoss(self._on_loss, losses, self._count_loss)

    def _on_loss(self, losses: Tensor, outputs: Any, targets: Any) -> Tensor:
        for _, seam in self._seams.get("on_loss", ()):
            losses = seam(losses, outputs, targets)
        return losses

    def _count_loss(self) -> None:
        self._tally.all.losses += 1

    @torch.no_grad()
    def change_gradients(self, gradients: Tensors, parameters: Tensors) -> dict[str, Tensor]:
        """Return the gradients that the optimizer shall see; norms are taken run by run.

        Args:
            gradients: What the backward pass gave, by the name of the parameter.
            parameters: The parameters, under the same names.
        """
        remembering = {type(r): seam for r, seam in self._seams.get("remember", ())}
        for remedy, seam in self._seams.get("on_gradients", ()):
            name = type(remedy).__name__
            part = self._layout.shown(remedy, gradients, 1)
            known = self._memory.get(name, {})
            if type(remedy) in remembering:
                known = self._memory[name] = remembering[type(remedy)](known, part)
            changed = seam(part, self._layout.shown(remedy, parameters, 1), known)
            self._tally.saw_gradients(remedy, part, changed)
            gradients = {**gradients, **self._layout.back(remedy, changed, 1)}
        return dict(gradients)

    @torch.no_grad()
    def change_parameters(
        self, parameters: Tensors, rates: float | Sequence[float] | Tensor
    ) -> dict[str, Tensor]:
        """Return the parameters after the optimizer's step.

        Args:
            parameters: Those of one parameter group that have a gradient, by name.
            rates: The learning rate that the group was updated with: one, or one a run.
        """
        for remedy, seam in self._seams.get("after_update", ()):
            rates = self._rates(rates, parameters)
            part = self._layout.shown(remedy, parameters, 1)
            parameters = {**parameters, **self._layout.back(remedy, seam(part, rates), 1)}
        return dict(parameters)

    def _rates(
        self, rates: float | Sequence[float] | Tensor, parameters: Tensors
    ) -> float | Tensor:
        if not isinstance(rates, Sequence):
            return rates
        if len(set(rates)) == 1:
            return rates[0]
        device = next(iter(parameters.values())).device
        dtype = torch.float32 if device.type == "mps" else torch.float64
        return torch.tensor(rates, dtype=dtype, device=device)

    @torch.no_grad()
    def end_step(self, weights: Tensors) -> None:
        """Note that a step was made, and move the averages of the weights.

        Args:
            weights: All parameters that are trained, and the floating-point buffers, by name.
        """
        for _, seam in self._seams.get("average", ()):
            self._averages = seam(self._averages, weights, self._tally.all.steps)
        self._tally.all.steps += 1
        self._tally.all.rate_steps = self._tally.all.steps

    def averages(self) -> Tensors:
        """Return the averaged weights, to evaluate them; empty if the weights themselves count."""
        self._tally.all.averaged += bool(self._averages)
        return self._averages

    def rate_factors(self, step: int) -> tuple[float, ...]:
        """Return the multiples of the learning rates that update ``step`` is made with, from 0."""
        factors = [recipe.rate_factor(step) for recipe in self._distinct]
        return tuple([factors[number] for number in self._schedules])

    def should_stop(self, losses: Sequence[float | None]) -> tuple[bool, ...]:
        """Note the validation losses of an epoch, and say which runs shall end.

        Args:
            losses: One a run; None for a run that is over already, of which none is noted.
        """
        if not self.needs("should_stop"):
            return (False,) * len(self)
        self._tally.validated(losses, averages=bool(self._averages))
        runs = zip(self._recipes, self._tally.validations, strict=True)
        return tuple(recipe.should_stop(seen) for recipe, seen in runs)

    def keep(self, runs: Sequence[int]) -> StackedRecipe:
        """Return the stack of some of the runs, which go on where they are; this one is done."""
        kept = StackedRecipe([self._treated[run] for run in runs])
        kept._generators = {d: [g[run] for run in runs] for d, g in self._generators.items()}
        kept._memory = {name: _chosen(known, runs) for name, known in self._memory.items()}
        kept._averages = _chosen(self._averages, runs)
        kept._tally = self._tally.keep(runs)
        return kept

    def effects(self, run: int, model: nn.Module) -> tuple[str, ...]:
        """Say of each remedy what it was seen to do in a run that is over.

        Args:
            run: Its number in this stack.
            model: Its network, with the weights that it ends with.
        """
        treated, tally = self._treated[run], self._tally.of(run)
        stops = self.needs("should_stop") and any(v < float("inf") for v in tally.validations)
        tally.averaged += bool(self._averages) and not stops
        return sentences(treated.recipe, model, treated.changes, tally, treated.anatomy)


def _fixed(remedy: Remedy) -> list[str]:
    """Return the names of the arguments that are the same in all runs of a stack."""
    names = (field.name for field in fields(remedy))  # type: ignore[arg-type]  # all are dataclasses
    return [name for name in names if name not in remedy.doses]


def _chosen(tensors: Tensors, runs: Sequence[int]) -> dict[str, Tensor]:
    return {name: tensor[list(runs)] for name, tensor in tensors.items()}
