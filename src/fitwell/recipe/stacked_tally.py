"""What the recipes of a stack were seen to do: counted for every run, without waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from fitwell.recipe.effects import Tally

if TYPE_CHECKING:
    from fitwell.interfaces import Remedy, Tensors


@final
@dataclass
class StackedTally:
    """Counts of what was done in every run of a stack.

    Args:
        all: Counts that are the same in every run.
        validations: Validation losses of every run, in order.
        kept: How often averaged weights were the best of a run so far.
    """

    all: Tally
    validations: list[list[float]]
    kept: list[int] = field(default_factory=list)
    _fired: dict[str, Tensor] = field(default_factory=dict)

    def saw_gradients(self, remedy: Remedy, before: Tensors, after: Tensors) -> None:
        """Note in which runs a remedy changed a gradient."""
        name = type(remedy).__name__
        if not self.all.looks_at(name):
            return
        pairs = [(before[n], after[n]) for n in before if after[n] is not before[n]]
        if pairs:
            device = pairs[0][0].device
            distances = [torch.linalg.vector_norm((a - b).flatten(1), dim=1) for a, b in pairs]
            # NaN is not 0: a gradient that was not finite counts as changed.
            changed = torch.stack([d.to(device) for d in distances]).sum(0) != 0
            self._fired[name] = changed.long() + self._fired.get(name, 0)

    def of(self, run: int) -> Tally:
        """Return the counts of one run."""
        fired = {name: counts[run] for name, counts in self._fired.items()}
        counts = self.all.of(self.validations[run], fired)
        counts.averaged += self.kept[run]
        return counts

    def validated(self, losses: Sequence[float | None], *, averages: bool) -> None:
        """Note the validation losses of an epoch, of averaged weights or the weights themselves."""
        for run, (seen, loss) in enumerate(zip(self.validations, losses, strict=True)):
            if loss is None:
                continue
            best = min((known for known in seen if known == known), default=float("inf"))
            self.kept[run] += averages and loss < best
            seen.append(float(loss))

    def keep(self, runs: Sequence[int]) -> StackedTally:
        """Return the counts of some of the runs."""
        fired = {name: counts[list(runs)] for name, counts in self._fired.items()}
        validations, kept = (
            [self.validations[run] for run in runs],
            [self.kept[run] for run in runs],
        )
        return StackedTally(replace(self.all), validations, kept, fired)
