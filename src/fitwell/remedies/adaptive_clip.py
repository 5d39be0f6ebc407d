"""Clipping of the gradient unit by unit, by the size of the weights."""

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
class AdaptiveClip(Remedy):
    """Scale the gradient of a unit down where it is too large for the unit's weights.

    A unit is an output of a layer: a row of a linear or recurrent weight, a filter of a convolution
    over (in, height, width); biases and other vectors count as one unit. Its gradient is clipped
    where its norm exceeds ``max_ratio`` times the norm of its weights, which is taken as ``eps`` if
    smaller, so that weights of zero can move. A unit whose norm is not finite gets a gradient of
    zero. Brock et al. leave the last layer out; here it is clipped like the others.

    Args:
        max_ratio: Largest ratio of the norms allowed, in (0, 100].
        eps: Least norm of the weights that counts, in (0, 1].

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Brock et al., "High-Performance Large-Scale Image Recognition Without Normalization", 2021,
        arXiv:2102.06171.
    """

    stage: ClassVar[Stage] = Stage.CLIPPING
    units_first: ClassVar[bool] = True
    doses: ClassVar[tuple[str, ...]] = ("max_ratio", "eps")

    max_ratio: float = 0.01
    eps: float = 1e-3

    def __post_init__(self) -> None:
        in_range("max_ratio", self.max_ratio, 0.0, 100.0, open_low=True)
        in_range("eps", self.eps, 0.0, 1.0, open_low=True)

    def on_gradients(self, gradients: Tensors, parameters: Tensors, memory: Tensors) -> Tensors:
        """Return the gradients, scaled unit by unit where they are too large."""
        return clip_by_unit(gradients, parameters, memory, max_ratio=self.max_ratio, eps=self.eps)

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam."""
        args = {"max_ratio": self.max_ratio, "eps": self.eps}
        return {"on_gradients": Plain(clip_by_unit, args, (along, norm_by_unit))}


def norm_by_unit(tensor: Tensor, lead: int = 0) -> Tensor:
    """Return the norm of each unit (units, ...), or of a whole vector, so that it broadcasts."""
    if tensor.dim() == lead:
        return tensor.abs()
    axes = tuple(range(lead + 1, tensor.dim())) or (lead,)
    norm: Tensor = torch.linalg.vector_norm(tensor, dim=axes, keepdim=True)
    return norm


def clip_by_unit(
    gradients: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    memory: Mapping[str, Tensor],
    max_ratio: float | Tensor,
    eps: float | Tensor,
    lead: int = 0,
) -> dict[str, Tensor]:
    """Scale units down to max_ratio times the norm of their weights; zero if not finite."""
    clipped = {}
    for name, gradient in gradients.items():
        own = norm_by_unit(parameters[name].detach(), lead)
        limit = along(max_ratio, own, lead) * own.clamp(min=along(eps, own, lead))
        norm = norm_by_unit(gradient, lead)
        scale = torch.where(norm <= limit, 1.0, limit / norm.clamp(min=1e-6))
        scaled = gradient * scale.to(gradient.dtype)
        clipped[name] = torch.where(norm.isfinite(), scaled, 0.0)
    return clipped
