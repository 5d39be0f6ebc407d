"""Clipping of the gradient by value."""

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
class ClipValue(Remedy):
    """Cut every entry of the gradient off at a limit, which may turn its direction.

    Infinity becomes the limit; NaN stays NaN, since it has no sign.

    Args:
        max_value: Largest absolute value allowed, in (0, 1e6].

    Raises:
        ThresholdError: If the limit is out of range.

    References:
        Mikolov, "Statistical Language Models Based on Neural Networks", PhD thesis, 2012.
    """

    stage: ClassVar[Stage] = Stage.CLIPPING
    doses: ClassVar[tuple[str, ...]] = ("max_value",)

    max_value: float = 0.5

    def __post_init__(self) -> None:
        in_range("max_value", self.max_value, 0.0, 1e6, open_low=True)

    def on_gradients(self, gradients: Tensors, parameters: Tensors, memory: Tensors) -> Tensors:
        """Return the gradients with every entry in [-max_value, max_value]."""
        return clip_by_value(gradients, parameters, memory, max_value=self.max_value)

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam."""
        return {"on_gradients": Plain(clip_by_value, {"max_value": self.max_value}, (along,))}


def clip_by_value(
    gradients: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    memory: Mapping[str, Tensor],
    max_value: float | Tensor,
    lead: int = 0,
) -> dict[str, Tensor]:
    """Cut every entry off at max_value in absolute value."""
    if not gradients:
        return {}
    if isinstance(max_value, Tensor):
        cut = {}
        for name, gradient in gradients.items():
            limit = along(max_value, gradient, lead)
            cut[name] = torch.minimum(torch.maximum(gradient, -limit), limit)
        return cut
    low = torch._foreach_clamp_min(list(gradients.values()), -max_value)
    return dict(zip(gradients, torch._foreach_clamp_max(low, max_value), strict=True))
