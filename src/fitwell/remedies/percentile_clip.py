"""Clipping of the gradient at a percentile of the norms seen so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import torch
from torch import Tensor

from fitwell.errors import ThresholdError, in_range
from fitwell.interfaces import Plain, Remedy, Stage
from fitwell.remedies.clip_norm import global_norm, scaled_to
from fitwell.remedies.leading import along

if TYPE_CHECKING:
    from fitwell.interfaces import Tensors


@final
@dataclass(frozen=True, slots=True)
class PercentileClip(Remedy):
    """Scale the gradient down to a percentile of the norms seen so far, this one included.

    The limit follows the size of the gradients, so there is nothing to tune to a network. A norm
    that is not finite is not remembered, and the gradient of that step is zero; nor is a step that
    a ``GradScaler`` skips. Where a step is given a closure, every gradient that it computes counts.

    Args:
        percentile: The limit among the norms seen, in (0, 100]; interpolated as numpy does.
        window: Most recent norms that are remembered, at least 1.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Seetharaman et al., "AutoClip: Adaptive Gradient Clipping for Source Separation Networks",
        2020, arXiv:2007.14469; there all norms are remembered.
    """

    stage: ClassVar[Stage] = Stage.CLIPPING
    doses: ClassVar[tuple[str, ...]] = ("percentile",)

    percentile: float = 10.0
    window: int = 1000

    def __post_init__(self) -> None:
        in_range("percentile", self.percentile, 0.0, 100.0, open_low=True)
        in_range("window", self.window, 1, 1_000_000)
        if not isinstance(self.window, int):
            raise ThresholdError(f"window must be a whole number, got {self.window!r}.")

    def remember(self, memory: Tensors, gradients: Tensors) -> Tensors:
        """Return the norms seen so far with that of this step."""
        return remember_norm(memory, gradients, window=self.window)

    def on_gradients(self, gradients: Tensors, parameters: Tensors, memory: Tensors) -> Tensors:
        """Return the gradients, scaled where their norm exceeds the percentile."""
        return clip_by_percentile(gradients, parameters, memory, percentile=self.percentile)

    def plain(self) -> Mapping[str, Plain]:
        """Name the functions behind the seams."""
        args = {"percentile": self.percentile}
        return {
            "remember": Plain(remember_norm, {"window": self.window}, (along, global_norm)),
            "on_gradients": Plain(clip_by_percentile, args, (along, scaled_to)),
        }


def remember_norm(
    memory: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    window: int,
    lead: int = 0,
) -> dict[str, Tensor]:
    """Write the common norm of the gradients, if it is finite, over the oldest of a window."""
    if not gradients:
        return dict(memory)
    norm = global_norm(gradients, lead)
    norm = norm.to(torch.promote_types(norm.dtype, torch.float32))
    norms, count = memory.get("norms"), memory.get("count")
    if norms is None or count is None:
        norms, count = norm.new_zeros(*norm.shape, window), torch.zeros_like(norm, dtype=torch.long)
    # What is not finite is not counted, so that the next norm takes its place.
    place = torch.arange(window, device=norms.device) == (count % window)[..., None]
    norms, count = torch.where(place, norm[..., None], norms), count + norm.isfinite()
    return {"norm": norm, "norms": norms, "count": count}


def clip_by_percentile(
    gradients: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    memory: Mapping[str, Tensor],
    percentile: float | Tensor,
    lead: int = 0,
) -> dict[str, Tensor]:
    """Scale all gradients so that their common norm is at most a percentile of those remembered."""
    if not gradients:
        return {}
    norms, window = memory["norms"], memory["norms"].shape[-1]
    count = memory["count"].clamp(1, window)[..., None]
    written = torch.arange(window, device=norms.device) < count
    ordered = torch.where(written, norms, torch.inf).sort(dim=-1).values
    last = (count - 1).to(norms)
    place = last * along(percentile / 100.0, last, lead)
    low, high = (ordered.gather(-1, at.long()) for at in (place.floor(), place.ceil()))
    limit = torch.lerp(low, high, place.frac())[..., 0]
    return scaled_to(gradients, memory["norm"], limit, lead)
