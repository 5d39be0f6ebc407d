"""A running average of the weights, which is what is evaluated and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch
from torch import Tensor

from fitwell.errors import BadInput, ThresholdError, in_range
from fitwell.interfaces import Plain, Remedy, Stage
from fitwell.remedies.leading import along

if TYPE_CHECKING:
    from fitwell.interfaces import Tensors

KINDS = ("ema", "swa")
"""Kinds of averages: exponential, and equal from a step on."""


@final
@dataclass(frozen=True, slots=True)
class WeightAverage(Remedy):
    """Keep an average of the weights along the way; training itself goes on as before.

    ``"ema"`` moves the average to the weights by 1 - decay after each update; the decay begins
    small, min(decay, (1 + t) / (10 + t)) at update t, so that the first weights are soon forgotten.
    ``"swa"`` weighs the weights after every update from ``start`` on equally. Floating-point
    buffers, as the statistics of batch norm, are averaged alike, not estimated again; others stay
    as they are. Averages of half precision are kept in single.

    ``Treated.averaged()`` shows the average for an evaluation, and ``Treated.finish()`` puts it
    into the model; with early stopping, the best weights that are kept are averages too.

    Args:
        kind: ``"ema"`` or ``"swa"``.
        decay: Share of the average that stays at each update, in [0, 1); for ``"ema"``.
        start: Update from which it is averaged, from 0; before it the weights themselves count.

    Raises:
        ThresholdError: If a number is out of range.
        BadInput: If the kind is unknown.

    References:
        Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992.
        Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018,
        arXiv:1803.05407 (there once an epoch).
    """

    stage: ClassVar[Stage] = Stage.UPDATE
    doses: ClassVar[tuple[str, ...]] = ("decay",)

    kind: str = "ema"
    decay: float = 0.999
    start: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadInput(f"Unknown kind of average {self.kind!r}: expected ema or swa.")
        in_range("decay", self.decay, 0.0, 1.0 - 1e-9)
        in_range("start", self.start, 0, 1e12)
        if not isinstance(self.start, int):
            raise ThresholdError(f"start must be a whole number, got {self.start!r}.")

    def average(self, averages: Tensors, parameters: Tensors, step: int) -> Tensors:
        """Return the average with the weights after update ``step``."""
        return average_weights(averages, parameters, step, **self._args)

    @property
    def _args(self) -> dict[str, Any]:
        """Equal weights have no decay."""
        return {"decay": self.decay if self.kind == "ema" else None, "start": self.start}

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam."""
        return {"average": Plain(average_weights, self._args, (along, share_of_newest))}


def average_weights(
    averages: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    step: int,
    decay: float | Tensor | None,
    start: int,
    lead: int = 0,
) -> dict[str, Tensor]:
    """Move averages to the weights: by 1 - decay, begun small, or equally; empty before start."""
    if step < start:
        return {}
    known = [name for name in parameters if name in averages]
    old = [averages[name] for name in known]
    now = [parameters[name].detach().to(averages[name]) for name in known]
    share = share_of_newest(step - start, decay)
    moved: Sequence[Tensor] = ()
    if isinstance(share, Tensor) and known:
        moved = torch._foreach_lerp(old, now, [along(share, t, lead) for t in old])
    elif not isinstance(share, Tensor) and known:
        moved = torch._foreach_lerp(old, now, share)
    first = {
        name: t.detach().to(torch.promote_types(t.dtype, torch.float32), copy=True)
        for name, t in parameters.items()
        if name not in averages
    }
    return {**averages, **dict(zip(known, moved, strict=True)), **first}


def share_of_newest(update: int, decay: float | Tensor | None) -> float | Tensor:
    """Return the weight of the newest weights in an average, at an update from 0."""
    if decay is None:
        return 1.0 / (update + 1)
    most = (1.0 + update) / (10.0 + update)
    return 1.0 - (decay.clamp(max=most) if isinstance(decay, Tensor) else min(decay, most))
