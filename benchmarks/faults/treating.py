"""A recipe at work in a program of the corpus, at the places that the lab offers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch import Tensor, nn

from fitwell import Recipe
from fitwell.recipe import Treated
from fitwell.records import RemedySpec

EXAMPLE = 16
"""Rows that the network is called with, to find its way through it."""


@final
class Applied:
    """Remedies, fitted into one run of a program.

    Args:
        specs: What is done, as a finding names it.
        seed: Seed of new weights.
    """

    def __init__(self, *specs: RemedySpec, seed: int = 0) -> None:
        self._recipe, self._seed = Recipe(*specs), seed
        self._treated: Treated | None = None

    def prepare(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_fn: Callable[..., Tensor],
        example: Tensor,
    ) -> tuple[Any, Any, Any]:
        """Return the treated model, an optimizer like the given one, and the loss."""
        treated = self._recipe.apply(
            model, example_input=example[:EXAMPLE], data=example, seed=self._seed
        )
        made = treated.optimizer(_like(optimizer, model, treated))
        scheduler = treated.scheduler(made)
        made.register_step_post_hook(lambda *_: scheduler.step())
        self._treated = treated
        return treated.model, made, treated.loss(loss_fn)

    def batch(self, x: Tensor, y: Any) -> tuple[Tensor, Any]:
        """Return the batch to train on."""
        return self._at_work.batch(x, y)

    def should_stop(self, val_loss: float) -> bool:
        """Say whether training shall end."""
        return self._at_work.should_stop(val_loss=val_loss)

    def finish(self) -> nn.Module:
        """Return the model whose outcome counts."""
        self._at_work.finish()
        return self._at_work.model

    @property
    def _at_work(self) -> Treated:
        assert self._treated is not None, "the program has not called lab.prepare"
        return self._treated


def _like(
    optimizer: torch.optim.Optimizer, model: nn.Module, treated: Treated
) -> Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]:
    """A factory of an optimizer that holds what the given one held, and what the recipe added."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    keys = treated.changes.keys
    named = dict(treated.model.named_parameters())
    groups = [
        {
            **group,
            "params": [
                named[new]
                for parameter in group["params"]
                if (new := keys.get(name := names[id(parameter)], name)) in named
            ],
        }
        for group in optimizer.param_groups
    ]
    known = {keys.get(name, name) for name in names.values()}
    groups[0]["params"] += [p for name, p in named.items() if name not in known]
    taken = inspect.signature(type(optimizer)).parameters
    options = {key: value for key, value in optimizer.defaults.items() if key in taken}
    return lambda _: type(optimizer)(groups, **options)
