"""Where a recipe meets an optimizer: hooks around its step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fitwell.errors import BadInput
from fitwell.recipe.effects import Tally
from fitwell.recipe.layout import Layout
from fitwell.recipe.printed import floating_buffers

if TYPE_CHECKING:
    from fitwell.interfaces import Tensors
    from fitwell.recipe.recipe import Memory, Recipe


@final
class Step:
    """Lets a recipe change gradients before an optimizer's step, and parameters after it.

    Every optimizer has a step of its own, with a memory and averages of its own. Parameters
    without a gradient are left alone, as the optimizer does. Nothing here waits for an
    accelerator.

    Args:
        recipe: What to do.
        model: The treated model, of whose parameters the optimizer holds some.
        tally: Counts what was done.
        notice: Called with the number of steps after each.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        tally: Tally,
        *,
        notice: Callable[[int], None],
    ) -> None:
        self._recipe = recipe
        self._model = model
        self._names = {id(p): name for name, p in model.named_parameters()}
        self._layout = Layout.of(model)
        self._tally = tally
        self._notice = notice
        self._memory: Memory = {}
        self._count = 0
        self.holds: frozenset[str] = frozenset()
        self.averages: Tensors = {}
        self.averages_buffers = True

    def attach(self, optimizer: Optimizer) -> None:
        """Act in every step of an optimizer from now on."""
        held = (id(p) for group in optimizer.param_groups for p in group["params"])
        self.holds = frozenset(self._names[number] for number in held if number in self._names)
        optimizer.register_step_pre_hook(BeforeStep(self))
        optimizer.register_step_post_hook(AfterStep(self))

    @torch.no_grad()
    def change_gradients(self, optimizer: Optimizer) -> None:
        """Put the gradients that the recipe wants in the place of those that are there."""
        if not self._recipe.needs("on_gradients"):
            return
        parameters: dict[str, Tensor] = {}
        for group in optimizer.param_groups:
            parameters.update(self._live(group))
        if not parameters:
            return
        given = {name: p.grad for name, p in parameters.items() if p.grad is not None}
        for name, gradient in given.items():
            if gradient.layout != torch.strided:
                raise BadInput(
                    f"{self._recipe} cannot act on the sparse gradient of {name}: "
                    "make the layer with sparse=False."
                )
        # A fused optimizer under GradScaler divides by the scale inside its step.
        scale = getattr(optimizer, "grad_scale", None)
        before = given if scale is None else {n: g / scale for n, g in given.items()}
        after, memory = self._recipe.on_gradients(
            before, parameters, self._memory, self._layout, seen=self._tally.saw_gradients
        )
        skipped = getattr(optimizer, "found_inf", None)
        self._memory = memory if skipped is None else _unless(skipped, self._memory, memory)
        changed = [name for name in given if after[name] is not before[name]]
        if not changed:
            return
        values = [after[n] if scale is None else after[n] * scale for n in changed]
        torch._foreach_copy_([given[name] for name in changed], values)

    @torch.no_grad()
    def change_parameters(self, optimizer: Optimizer) -> None:
        """Put the parameters that the recipe wants in the place of those that are there."""
        # GradScaler tells a fused optimizer to skip the step by this tensor: then skip ours too.
        skipped = getattr(optimizer, "found_inf", None)
        if self._recipe.needs("after_update"):
            for group in optimizer.param_groups:
                rate = group["lr"] if skipped is None else group["lr"] * (1 - skipped)
                self._change_group(self._live(group), rate)
        if self._recipe.needs("average"):
            self._average(optimizer, skipped)
        self._count += 1
        self._tally.steps += 1
        self._notice(self._tally.steps)

    def _change_group(self, before: dict[str, Tensor], rate: float | Tensor) -> None:
        after = self._recipe.after_update(before, rate, self._layout)
        changed = [name for name in before if after[name] is not before[name]]
        if changed:
            torch._foreach_copy_(
                [before[name] for name in changed], [after[name] for name in changed]
            )

    def _average(self, optimizer: Optimizer, skipped: Tensor | None) -> None:
        held: dict[str, Tensor] = {
            self._names[id(p)]: p
            for group in optimizer.param_groups
            for p in group["params"]
            if p.requires_grad and id(p) in self._names
        }
        if self.averages_buffers:
            held.update(floating_buffers(self._model))
        averages = self._recipe.average(self.averages, held, self._count)
        if skipped is not None and self.averages:
            averages = _unless(skipped, {"": self.averages}, {"": averages})[""]
        self.averages = averages

    def _live(self, group: Mapping[str, Any]) -> dict[str, Tensor]:
        """Parameters of the model in a group that have a gradient, by name."""
        return {
            self._names[id(p)]: p
            for p in group["params"]
            if p.grad is not None and id(p) in self._names
        }


def _unless(skipped: Tensor, before: Memory, after: Memory) -> Memory:
    """Return what is known after a step, or before it where it was skipped; zeros for nothing."""
    chosen: dict[str, dict[str, Tensor]] = {}
    for remedy, tensors in after.items():
        known = before.get(remedy, {})
        chosen[remedy] = {
            name: torch.where(
                skipped.to(new.device) > 0, known.get(name, torch.zeros_like(new)), new
            )
            for name, new in tensors.items()
        }
    return chosen


@final
class BeforeStep:
    """Pre-hook of a step; where the step is given a closure, acts after each call of it."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def __call__(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Change the gradients, or see to it that the closure does."""
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            self._step.change_gradients(optimizer)
            return None
        treated = Closure(self._step, optimizer, closure)
        if len(args) > 1:
            return (args[0], treated, *args[2:]), kwargs
        return args, {**kwargs, "closure": treated}


@final
class AfterStep:
    """Post-hook of a step."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def __call__(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Change the parameters."""
        self._step.change_parameters(optimizer)


@final
class Closure:
    """A user's closure, after which the gradients are those that the recipe wants."""

    def __init__(self, step: Step, optimizer: Optimizer, closure: Callable[[], Any]) -> None:
        self._step, self._optimizer, self._closure = step, optimizer, closure

    def __call__(self) -> Any:
        """Return the loss of the user's closure."""
        loss = self._closure()
        self._step.change_gradients(self._optimizer)
        return loss
