"""Clipping of the gradient by its global norm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import torch
from torch import Tensor

from fitwell.errors import in_range
from fitwell.interfaces import Plain, Remedy, Stage
from fitwell.remedies.leading import along

if TYPE_CHECKING:
    from fitwell.interfaces import Tensors


@final
@dataclass(frozen=True, slots=True)
class ClipNorm(Remedy):
    """Scale the gradient down where the norm over all parameters exceeds a limit.

    The direction is kept. Where the norm is finite the result is that of
    ``torch.nn.utils.clip_grad_norm_``; where it is not, there is no direction to keep, and the
    gradient of that step is zero, so that one overflow does not end the run.

    Args:
        max_norm: Largest norm allowed, in (0, 1e6].

    Raises:
        ThresholdError: If the limit is out of range.

    References:
        Pascanu et al., "On the difficulty of training Recurrent Neural Networks", 2013,
        arXiv:1211.5063.
    """

    stage: ClassVar[Stage] = Stage.CLIPPING
    doses: ClassVar[tuple[str, ...]] = ("max_norm",)

    max_norm: float = 1.0

    def __post_init__(self) -> None:
        in_range("max_norm", self.max_norm, 0.0, 1e6, open_low=True)

    def on_gradients(self, gradients: Tensors, parameters: Tensors, memory: Tensors) -> Tensors:
        """Return the gradients, scaled where their norm is too large."""
        return clip_by_norm(gradients, parameters, memory, max_norm=self.max_norm)

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam."""
        args = {"max_norm": self.max_norm}
        return {"on_gradients": Plain(clip_by_norm, args, (along, global_norm, scaled_to))}


def global_norm(gradients: Mapping[str, Tensor], lead: int = 0) -> Tensor:
    """Return the common norm of all gradients, run by run, on the device of the first."""
    values = list(gradients.values())
    if lead:
        flat = [value.reshape(*value.shape[:lead], -1) for value in values]
        norms = [torch.linalg.vector_norm(value, dim=-1) for value in flat]
    else:
        norms = list(torch._foreach_norm(values))
    device = values[0].device
    # Of every run the same numbers lie beside each other, and are summed in the same order.
    together = torch.stack([norm.to(device) for norm in norms], dim=-1)
    norm: Tensor = torch.linalg.vector_norm(together, dim=-1)
    return norm


def scaled_to(
    gradients: Mapping[str, Tensor], norm: Tensor, max_norm: float | Tensor, lead: int = 0
) -> dict[str, Tensor]:
    """Scale gradients of a common norm down to max_norm where it is larger; zero if not finite."""
    limit = along(max_norm, norm, lead)
    fits = norm <= limit
    # Only a CPU answers at once: elsewhere the question would wait for the queue of the device.
    if norm.device.type == "cpu" and bool(fits.all() if lead else fits):
        return dict(gradients)
    scale, finite = torch.where(fits, 1.0, limit / (norm + 1e-6)), norm.isfinite()
    values = list(gradients.values())
    if norm.device.type == "cpu" and bool(finite.all() if lead else finite):
        if lead:
            scales = [along(scale, value, lead) for value in values]
            scaled = torch._foreach_mul(values, scales)
        else:
            scaled = torch._foreach_mul(values, scale)
        return dict(zip(gradients, scaled, strict=True))
    chosen = {}
    for name, value in gradients.items():
        fits = along(finite, value, lead) > 0
        chosen[name] = torch.where(fits, value * along(scale, value, lead), 0.0)
    return chosen


def clip_by_norm(
    gradients: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    memory: Mapping[str, Tensor],
    max_norm: float | Tensor,
    lead: int = 0,
) -> dict[str, Tensor]:
    """Scale all gradients so that their common norm is at most max_norm; zero if not finite."""
    if not gradients:
        return {}
    return scaled_to(gradients, global_norm(gradients, lead), max_norm, lead)
