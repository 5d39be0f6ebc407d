"""What a recipe was seen to do: counted without waiting, told when asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from fitwell import surgery
from fitwell.interfaces import Remedy
from fitwell.recipe.inputs import unused_inputs
from fitwell.records import Anatomy
from fitwell.remedies import L1, BatchNorm, Dropout
from fitwell.words import say, say_many

if TYPE_CHECKING:
    from fitwell.interfaces import Tensors
    from fitwell.recipe.changes import Changes
    from fitwell.recipe.recipe import Recipe

_ALL_UNTIL, _EVERY = 100, 10
"""Whether a gradient was changed is asked in every step up to the first, then in every tenth."""


_NAMED = 10
"""Input features that a sentence names one by one."""


@final
@dataclass
class Tally:
    """Counts of what was done in a run; what is on a device stays there.

    Args:
        batches: Batches that went through ``Treated.batch``.
        losses: Training losses that went through ``Treated.loss``.
        steps: Steps of optimizers made by ``Treated.optimizer``.
        rate_steps: The furthest step of a scheduler made by ``Treated.scheduler``.
        averaged: Times that averaged weights were shown or kept.
        finished: Calls of ``Treated.finish``.
        validations: Validation losses of ``Treated.should_stop``, in order.
    """

    batches: int = 0
    losses: int = 0
    steps: int = 0
    rate_steps: int = 0
    averaged: int = 0
    finished: int = 0
    validations: list[float] = field(default_factory=list)
    _calls: dict[str, int] = field(default_factory=dict)
    _looked: dict[str, int] = field(default_factory=dict)
    _fired: dict[str, list[Tensor]] = field(default_factory=dict)

    def saw_gradients(self, remedy: Remedy, before: Tensors, after: Tensors) -> None:
        """Note whether a remedy changed a gradient."""
        name = type(remedy).__name__
        if not self.looks_at(name):
            return
        pairs = [(before[n], after[n]) for n in before if after[n] is not before[n]]
        if pairs:
            old, new = [a for a, _ in pairs], [b for _, b in pairs]
            distances = torch._foreach_norm(torch._foreach_sub(old, new))
            device = distances[0].device
            # NaN is not 0: a gradient that was not finite counts as changed.
            changed = torch.stack([d.to(device) for d in distances]).sum() != 0
            fired = self._fired.setdefault(name, [torch.zeros_like(changed, dtype=torch.long)])
            fired[0] = fired[0] + changed.to(fired[0].device)

    def looks_at(self, name: str) -> bool:
        """Note a step, and say whether it is one to look at."""
        calls = self._calls[name] = self._calls.get(name, 0) + 1
        looks = calls <= _ALL_UNTIL or not calls % _EVERY
        self._looked[name] = self._looked.get(name, 0) + looks
        return looks

    def of(self, validations: list[float], fired: Mapping[str, Tensor]) -> Tally:
        """Return the same counts with those of one run of a stack."""
        counts = {name: [count] for name, count in fired.items()}
        return replace(self, validations=validations, _fired=counts)

    def fired(self, name: str) -> tuple[int, int]:
        """Return in how many steps a remedy changed a gradient, and how many were looked at."""
        count = self._fired.get(name)
        return (int(count[0].item()) if count else 0), self._looked.get(name, 0)


def sentences(
    recipe: Recipe,
    model: nn.Module,
    changes: Changes,
    tally: Tally,
    anatomy: Anatomy,
) -> tuple[str, ...]:
    """Say of each remedy what it was seen to do."""
    said: list[str] = [
        say("{remedy} {did}", remedy=type(remedy).__name__, did=words)
        for remedy in recipe
        for words in _of_remedy(remedy, model, changes, tally)
    ]
    if any(isinstance(remedy, L1) for remedy in recipe):
        said += _of_inputs(unused_inputs(model, anatomy))
    return (*said, *changes.notes)


def _of_remedy(remedy: Remedy, model: nn.Module, changes: Changes, tally: Tally) -> list[str]:
    name = type(remedy).__name__
    seams = remedy.plain() or dict.fromkeys(remedy.seams())
    said: list[str] = []
    if count := sum(change.remedy == name for change in changes.items):
        said.append(
            say_many(
                "made {number} change, which ran on the example input",
                "made {number} changes, which ran on the example input",
                count,
            )
        )
    if isinstance(remedy, (BatchNorm, Dropout)):
        said += _of_layers(remedy, model)
    if "on_batch" in seams:
        said.append(say("changed {batches} batches", batches=tally.batches))
    if "on_loss" in seams:
        said.append(say("changed {losses} training losses", losses=tally.losses))
    if "on_gradients" in seams:
        fired, looked = tally.fired(name)
        said.append(say("fired in {fired} of {looked} steps", fired=fired, looked=looked))
    if "after_update" in seams:
        said.append(
            say("acted after {steps} steps; {weights}", steps=tally.steps, weights=_zeros(model))
        )
    if "average" in seams:
        said.append(
            say(
                "averaged the weights over {steps} steps, and they were shown {times} times",
                steps=tally.steps,
                times=tally.averaged,
            )
        )
    if "rate_factor" in seams:
        said.append(
            say(
                "moved the learning rate in {steps} steps, to {times} times its value",
                steps=tally.rate_steps,
                times=f"{remedy.rate_factor(tally.rate_steps):.3g}",
            )
        )
    if "should_stop" in seams:
        said.append(_validations(tally.validations, stopped=remedy.should_stop(tally.validations)))
    return said


def _of_inputs(numbers: Sequence[int]) -> list[str]:
    """Name the input features that no weight reads, the first ten of them."""
    if not numbers:
        return []
    named = ", ".join(map(str, numbers[:_NAMED])) + (", …" if len(numbers) > _NAMED else "")
    return [
        say_many(
            "L1 left {number} input feature unused: {named}",
            "L1 left {number} input features unused: {named}",
            len(numbers),
            named=named,
        )
    ]


def _of_layers(remedy: BatchNorm | Dropout, model: nn.Module) -> list[str]:
    if isinstance(remedy, Dropout):
        rates = [m.p for m in model.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
        active = sum(rate > 0 for rate in rates)
        if not rates:
            return []
        return [
            say_many(
                "has {number} layer active in training",
                "has {number} layers active in training",
                active,
            )
        ]
    seen = [
        int(m.num_batches_tracked)
        for m in model.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.num_batches_tracked is not None
    ]
    if not seen:
        return []
    return [say("has averaged over {batches} training batches", batches=min(seen))]


def _zeros(model: nn.Module) -> str:
    """The share of the weights that are exactly zero."""
    names = surgery.weight_names(model)
    weights = [p.detach() for name, p in model.named_parameters() if name in names]
    total = sum(w.numel() for w in weights)
    zeros = sum(int((w == 0).sum().item()) for w in weights)
    return say("{zeros} of {all} weights are exactly zero", zeros=f"{zeros:,}", all=f"{total:,}")


def _validations(losses: list[float], *, stopped: bool) -> str:
    if not losses:
        return say("saw no validation loss")
    finite = [loss for loss in losses if loss == loss]
    end = say("asked to stop") if stopped else say("did not ask to stop")
    of = {"losses": len(losses), "end": end}
    if not finite:
        return say("saw {losses} validation losses, and {end}", **of)
    return say(
        "saw {losses} validation losses, the lowest after epoch {epoch}, and {end}",
        **of,
        epoch=losses.index(min(finite)) + 1,
    )
